module example.com/throughput

go 1.19
