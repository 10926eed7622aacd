module example.com/cgoint

go 1.19
