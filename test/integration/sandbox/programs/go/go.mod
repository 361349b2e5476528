module fogproof.test/program

go 1.21
