module lintel/foreign

go 1.25

require (
	github.com/eclipse/paho.mqtt.golang v1.5.1
	github.com/spiffe/go-spiffe/v2 v2.9.0
)

require (
	github.com/gorilla/websocket v1.5.3 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/sync v0.17.0 // indirect
)
