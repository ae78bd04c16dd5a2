// A program as go-spiffe's users write them, against Lintel's Workload API.
//
//	workload -target HOST:PORT -peer ID [-partner-target HOST:PORT -partner ID] [-until-denied]
//
// SPIFFE_ENDPOINT_SOCKET names the API. Prints "ok CHECK" for each check; after "watching" it waits
// for another SVID, and with -until-denied after that until it is told that it has none any more.
// Exit status: 0 all is well, 1 something is not.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	ownID     = "spiffe://building-1.smart.local/reports"
	ownDomain = "building-1.smart.local"
	partner   = "partner.example"
	patience  = 60 * time.Second
)

// dial succeeds when both sides believe each other: the server sends its settings only then.
func dial(address string, source *workloadapi.X509Source, peer spiffeid.ID) error {
	config := tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(peer))
	config.NextProtos = []string{"h2"}
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	if _, err = connection.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		return err
	}
	_ = connection.SetReadDeadline(time.Now().Add(patience))
	_, err = connection.Read(make([]byte, 9))
	return err
}

type watcher struct {
	updates chan *workloadapi.X509Context
	denied  chan struct{}
}

func (w watcher) OnX509ContextUpdate(update *workloadapi.X509Context) { w.updates <- update }
func (w watcher) OnX509ContextWatchError(err error) {
	fmt.Fprintln(os.Stderr, err)
	if status.Code(err) == codes.PermissionDenied {
		select {
		case w.denied <- struct{}{}:
		default:
		}
	}
}

func run(target, peer, partnerTarget, partnerPeer string, untilDenied bool) error {
	ctx, stop := context.WithTimeout(context.Background(), 3*patience)
	defer stop()
	client, err := workloadapi.New(ctx)
	if err != nil {
		return err
	}
	defer client.Close()

	svids, err := client.FetchX509SVIDs(ctx)
	if err != nil {
		return err
	}
	if len(svids) != 1 || svids[0].ID.String() != ownID || svids[0].Hint != "internal" {
		return fmt.Errorf("x509-svid: %v", svids)
	}
	fmt.Println("ok x509-svid")

	bundles, err := client.FetchX509Bundles(ctx)
	if err != nil {
		return err
	}
	keys, err := client.FetchJWTBundles(ctx)
	if err != nil {
		return err
	}
	domains := []string{ownDomain}
	if partnerPeer != "" {
		domains = append(domains, partner)
	}
	for _, name := range domains {
		domain := spiffeid.RequireTrustDomainFromString(name)
		roots, found := bundles.Get(domain)
		if !found || len(roots.X509Authorities()) == 0 {
			return fmt.Errorf("x509 bundle of %s", name)
		}
		authorities, found := keys.Get(domain)
		if !found || len(authorities.JWTAuthorities()) == 0 {
			return fmt.Errorf("jwt bundle of %s", name)
		}
	}
	if bundles.Len() != len(domains) || keys.Len() != len(domains) {
		return fmt.Errorf("%d and %d bundles", bundles.Len(), keys.Len())
	}
	fmt.Println("ok bundles")

	token, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: "a", ExtraAudiences: []string{"b"}})
	if err != nil {
		return err
	}
	if _, err = jwtsvid.ParseAndValidate(token.Marshal(), keys, []string{"a"}); err != nil {
		return err
	}
	checked, err := client.ValidateJWTSVID(ctx, token.Marshal(), "b")
	if err != nil {
		return err
	}
	if checked.ID.String() != ownID || len(checked.Audience) != 2 {
		return fmt.Errorf("jwt-svid: %v", checked)
	}
	if _, err = client.ValidateJWTSVID(ctx, token.Marshal(), "c"); err == nil {
		return errors.New("a token for somebody else was accepted")
	}
	fmt.Println("ok jwt-svid")

	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	if err = dial(target, source, spiffeid.RequireFromString(peer)); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if err = dial(target, source, spiffeid.RequireFromString(ownID)); err == nil {
		return errors.New("tls: a peer of another name was accepted")
	}
	fmt.Println("ok tls")
	if partnerPeer != "" {
		if err = dial(partnerTarget, source, spiffeid.RequireFromString(partnerPeer)); err != nil {
			return fmt.Errorf("tls with another domain: %w", err)
		}
		fmt.Println("ok federated-tls")
	}

	watch := watcher{make(chan *workloadapi.X509Context, 16), make(chan struct{}, 1)}
	go func() { _ = client.WatchX509Context(ctx, watch) }()
	var first []byte
	rotated := false
	for {
		select {
		case update := <-watch.updates:
			leaf := update.DefaultSVID().Certificates[0].Raw
			if first == nil {
				first = leaf
				fmt.Println("watching")
			} else if !rotated && !bytes.Equal(leaf, first) {
				rotated = true
				fmt.Println("ok rotation")
				if !untilDenied {
					return nil
				}
			}
		case <-watch.denied:
			if !rotated {
				return errors.New("denied before a rotation was seen")
			}
			fmt.Println("ok denied")
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func main() {
	target := flag.String("target", "", "a TLS server of the own trust domain")
	peer := flag.String("peer", "", "its SPIFFE ID")
	partnerTarget := flag.String("partner-target", "", "a TLS server of another trust domain")
	partnerPeer := flag.String("partner", "", "its SPIFFE ID; empty: no other domain")
	untilDenied := flag.Bool("until-denied", false, "go on until the identity is gone")
	flag.Parse()
	if err := run(*target, *peer, *partnerTarget, *partnerPeer, *untilDenied); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
