module example.com/exchange

go 1.23

require example.com/handshake v0.0.0

replace example.com/handshake => ../handshake
