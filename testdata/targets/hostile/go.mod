module example.com/hostile

go 1.19

require example.com/handshake v0.0.0

replace example.com/handshake => ../handshake
