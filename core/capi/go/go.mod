module cortensor.internal/router

go 1.19
