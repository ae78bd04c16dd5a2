// A client of Lintel's brokers that shares no code with Lintel: it reads the files that
// "lintelctl pki" makes with go-spiffe, connects with Paho for Go by mutual TLS 1.3, verifies the
// broker by its SPIFFE ID, and listens.
//
// It prints "loaded <SPIFFE ID>" once the files passed, "subscribed" after the broker's SUBACK,
// and one line "<topic> <payload in hex>" for each message. Exit status: 0 it got as many messages
// as it was asked for, 3 the files are not good SPIFFE files, 4 no connection, 5 no subscription,
// 6 not enough messages in time.
package main

import (
	"crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// bundles collects -bundle domain=file arguments.
type bundles struct{ set *x509bundle.Set }

func (b bundles) String() string { return "" }

func (b bundles) Set(argument string) error {
	name, file, found := strings.Cut(argument, "=")
	if !found {
		return fmt.Errorf("want DOMAIN=FILE")
	}
	domain, err := spiffeid.TrustDomainFromString(name)
	if err != nil {
		return err
	}
	bundle, err := x509bundle.Load(domain, file)
	if err != nil {
		return err
	}
	if bundle.Empty() {
		return fmt.Errorf("%s holds no certificate", file)
	}
	b.set.Add(bundle)
	return nil
}

func fail(status int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(status)
}

func main() {
	trusted := bundles{x509bundle.NewSet()}
	flags := flag.NewFlagSet("spiffe-client", flag.ContinueOnError)
	address := flags.String("broker", "", "host:port")
	certificate := flags.String("cert", "", "SVID, PEM")
	key := flags.String("key", "", "its private key, PEM")
	expected := flags.String("expect", "", "SPIFFE ID of the broker")
	clientID := flags.String("client-id", "", "MQTT client id")
	filter := flags.String("subscribe", "", "topic filter")
	wanted := flags.Int("count", 0, "end after so many messages")
	patience := flags.Duration("timeout", 20*time.Second, "give up after this time")
	flags.Var(trusted, "bundle", "DOMAIN=FILE, more than once")
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(3)
	}

	svid, err := x509svid.Load(*certificate, *key)
	if err != nil {
		fail(3, err)
	}
	// The chain must verify against the bundle of the ID's own trust domain.
	if id, _, err := x509svid.Verify(svid.Certificates, trusted.set); err != nil {
		fail(3, err)
	} else {
		fmt.Println("loaded", id)
	}
	broker, err := spiffeid.FromString(*expected)
	if err != nil {
		fail(3, err)
	}

	config := tlsconfig.MTLSClientConfig(svid, trusted.set, tlsconfig.AuthorizeID(broker))
	config.MinVersion = tls.VersionTLS13
	messages := make(chan mqtt.Message, 64)
	options := mqtt.NewClientOptions().
		AddBroker("ssl://" + *address).
		SetClientID(*clientID).
		SetTLSConfig(config).
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetConnectTimeout(*patience)
	client := mqtt.NewClient(options)
	if token := client.Connect(); !token.WaitTimeout(*patience) {
		fail(4, fmt.Errorf("no answer from %s", *address))
	} else if token.Error() != nil {
		fail(4, token.Error())
	}
	defer client.Disconnect(250)

	token := client.Subscribe(*filter, 1, func(_ mqtt.Client, message mqtt.Message) { messages <- message })
	if !token.WaitTimeout(*patience) {
		fail(5, fmt.Errorf("no SUBACK"))
	} else if token.Error() != nil {
		fail(5, token.Error())
	}
	fmt.Println("subscribed")

	deadline := time.After(*patience)
	for received := 0; received < *wanted; received++ {
		select {
		case message := <-messages:
			fmt.Println(message.Topic(), hex.EncodeToString(message.Payload()))
		case <-deadline:
			fail(6, fmt.Errorf("%d of %d messages in %s", received, *wanted, *patience))
		}
	}
}
