// Both ends of gRPC that share no code with Lintel: grpc-go, go-spiffe and net/http.
//
//	grpcpeer client  -target ADDRESS [identity flags]   calls Lintel's echo server, one line for each check
//	grpcpeer server  -listen ADDRESS [identity flags]   answers Lintel's client until its input ends
//	grpcpeer get     -target URL     [identity flags]   prints "STATUS TYPE BODY"
//
// Without identity flags it speaks clear text (Unix sockets). Messages are plain bytes.
// Exit status: 0 all is well, 1 something is not, 2 wrong arguments.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// plain hands bytes through; its name makes it the default content type of gRPC.
type plain struct{}

func (plain) Name() string { return "proto" }

func (plain) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }

func (plain) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = bytes.Clone(data)
	return nil
}

type identity struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
	peer   spiffeid.ID
}

func (own identity) clientConfig() *tls.Config {
	return tlsconfig.MTLSClientConfig(own.svid, own.bundle, tlsconfig.AuthorizeID(own.peer))
}

func fail(code int, problem error) {
	fmt.Fprintln(os.Stderr, problem)
	os.Exit(code)
}

func main() {
	if len(os.Args) < 2 {
		fail(2, errors.New("want client, server or get"))
	}
	flags := flag.NewFlagSet("grpcpeer", flag.ExitOnError)
	target := flags.String("target", "", "whom to call")
	listen := flags.String("listen", "", "unix:PATH or HOST:PORT")
	certificate := flags.String("cert", "", "SVID, PEM")
	key := flags.String("key", "", "its private key, PEM")
	bundle := flags.String("bundle", "", "roots of the peer's trust domain, PEM")
	peer := flags.String("peer", "", "SPIFFE ID of the other side")
	age := flags.Duration("max-age", 0, "a connection gets a GOAWAY after this time")
	_ = flags.Parse(os.Args[2:])

	var own *identity
	if *certificate != "" {
		id, err := spiffeid.FromString(*peer)
		if err != nil {
			fail(2, err)
		}
		svid, err := x509svid.Load(*certificate, *key)
		if err != nil {
			fail(2, err)
		}
		roots, err := x509bundle.Load(id.TrustDomain(), *bundle)
		if err != nil {
			fail(2, err)
		}
		own = &identity{svid, roots, id}
	}
	var err error
	switch os.Args[1] {
	case "client":
		err = runClient(*target, own)
	case "server":
		err = runServer(*listen, own, *age)
	case "get":
		err = get(*target, own)
	default:
		fail(2, errors.New("want client, server or get"))
	}
	if err != nil {
		fail(1, err)
	}
}

func get(url string, own *identity) error {
	transport := &http.Transport{TLSClientConfig: own.clientConfig(), ForceAttemptHTTP2: true}
	client := http.Client{Transport: transport, Timeout: 20 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, response.Header.Get("Content-Type"), strings.TrimSpace(string(body)))
	return err
}

// --- client ---------------------------------------------------------------------------------------

func method(name string) string { return "/test.Echo/" + name }

func unary(ctx context.Context, connection *grpc.ClientConn, name string, request []byte, options ...grpc.CallOption) ([]byte, error) {
	var answer []byte
	err := connection.Invoke(ctx, method(name), &request, &answer, options...)
	return answer, err
}

func wantCode(err error, code codes.Code) error {
	if status.Code(err) != code {
		return fmt.Errorf("want %v, got %w", code, err)
	}
	return nil
}

func stream(ctx context.Context, connection *grpc.ClientConn, name string) (grpc.ClientStream, error) {
	return connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method(name))
}

func receiveAll(from grpc.ClientStream) (messages []string, err error) {
	for {
		var message []byte
		if err = from.RecvMsg(&message); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return messages, err
		}
		messages = append(messages, string(message))
	}
}

var checks = []struct {
	name string
	run  func(context.Context, *grpc.ClientConn) error
}{
	{"unary", func(ctx context.Context, c *grpc.ClientConn) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-suffix", "!", "x-raw-bin", "\x00\xff")
		answer, err := unary(ctx, c, "Unary", []byte("hello"))
		if err == nil && string(answer) != "hello!\x00\xff" {
			err = fmt.Errorf("answer %q", answer)
		}
		return err
	}},
	{"big", func(ctx context.Context, c *grpc.ClientConn) error {
		request := bytes.Repeat([]byte("0123456789abcdef"), 3<<16)
		answer, err := unary(ctx, c, "Unary", request)
		if err == nil && !bytes.Equal(answer, request) {
			err = fmt.Errorf("answer of %d bytes differs", len(answer))
		}
		return err
	}},
	{"too-big", func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := unary(ctx, c, "Unary", make([]byte, 5<<20))
		return wantCode(err, codes.ResourceExhausted)
	}},
	{"server-stream", func(ctx context.Context, c *grpc.ClientConn) error {
		s, err := stream(ctx, c, "Count")
		if err != nil {
			return err
		}
		request := []byte("1000")
		if err = s.SendMsg(&request); err != nil {
			return err
		}
		_ = s.CloseSend()
		messages, err := receiveAll(s)
		if err == nil && (len(messages) != 1000 || messages[999] != "999") {
			err = fmt.Errorf("%d messages", len(messages))
		}
		return err
	}},
	{"client-stream", func(ctx context.Context, c *grpc.ClientConn) error {
		s, err := stream(ctx, c, "Collect")
		if err != nil {
			return err
		}
		for i := 0; i < 100; i++ {
			message := make([]byte, 10_000)
			if err = s.SendMsg(&message); err != nil {
				return err
			}
		}
		_ = s.CloseSend()
		messages, err := receiveAll(s)
		if err == nil && (len(messages) != 1 || messages[0] != "1000000") {
			err = fmt.Errorf("got %q", messages)
		}
		return err
	}},
	{"both-streams", func(ctx context.Context, c *grpc.ClientConn) error {
		s, err := stream(ctx, c, "Chat")
		if err != nil {
			return err
		}
		for i := 0; i < 50; i++ {
			message, answer := []byte(strconv.Itoa(i)), []byte(nil)
			if err = s.SendMsg(&message); err != nil {
				return err
			}
			if err = s.RecvMsg(&answer); err != nil || string(answer) != string(message) {
				return fmt.Errorf("answer %q, %v", answer, err)
			}
		}
		_ = s.CloseSend()
		_, err = receiveAll(s)
		return err
	}},
	{"status", func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := unary(ctx, c, "Detail", nil)
		answer := status.Convert(err)
		details := answer.Proto().GetDetails()
		if answer.Code() != codes.PermissionDenied || answer.Message() != "Zu spät: 100 % übel\n" ||
			len(details) != 1 || details[0].GetTypeUrl() != "type.example/x" || string(details[0].GetValue()) != "v" {
			return fmt.Errorf("status %v %q, details %v", answer.Code(), answer.Message(), details)
		}
		_, err = unary(ctx, c, "Detail", []byte("bare"))
		if answer = status.Convert(err); answer.Message() != "Zu spät: 100 % übel\n" {
			return fmt.Errorf("message %q", answer.Message())
		}
		return nil
	}},
	{"unknown", func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := unary(ctx, c, "Nothing", nil)
		return wantCode(err, codes.Unimplemented)
	}},
	{"compressed", func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := unary(ctx, c, "Unary", []byte("zip"), grpc.UseCompressor(gzip.Name))
		return wantCode(err, codes.Unimplemented)
	}},
	{"deadline", func(ctx context.Context, c *grpc.ClientConn) error {
		ctx, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		defer stop()
		_, err := unary(ctx, c, "Wait", nil)
		return wantCode(err, codes.DeadlineExceeded)
	}},
	{"cancel", func(ctx context.Context, c *grpc.ClientConn) error {
		ctx, stop := context.WithCancel(ctx)
		time.AfterFunc(100*time.Millisecond, stop)
		_, err := unary(ctx, c, "Wait", nil)
		return wantCode(err, codes.Canceled)
	}},
	{"many", func(ctx context.Context, c *grpc.ClientConn) error {
		// One after the other as fast as it goes: grpc-go pings with each answer for a while.
		for i := 0; i < 3000; i++ {
			if _, err := unary(ctx, c, "Unary", make([]byte, 2000)); err != nil {
				return fmt.Errorf("call %d: %w", i, err)
			}
		}
		return nil
	}},
	{"parallel", func(ctx context.Context, c *grpc.ClientConn) error {
		var group sync.WaitGroup
		problems := make(chan error, 500)
		for i := 0; i < 500; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				if _, err := unary(ctx, c, "Unary", make([]byte, 20_000)); err != nil {
					problems <- err
				}
			}()
		}
		group.Wait()
		close(problems)
		return <-problems
	}},
}

func runClient(target string, own *identity) error {
	secret := insecure.NewCredentials()
	if own != nil {
		secret = credentials.NewTLS(own.clientConfig())
	}
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(secret),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(plain{}), grpc.MaxCallRecvMsgSize(8<<20)))
	if err != nil {
		return err
	}
	defer connection.Close()
	for _, check := range checks {
		ctx, stop := context.WithTimeout(context.Background(), 60*time.Second)
		err := check.run(ctx, connection)
		stop()
		if err != nil {
			return fmt.Errorf("%s: %w", check.name, err)
		}
		fmt.Println("ok", check.name)
	}
	return nil
}

// --- server ---------------------------------------------------------------------------------------

func echo(_ any, call grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(call)
	sum := 0
	for {
		var message []byte
		err := call.RecvMsg(&message)
		switch {
		case errors.Is(err, io.EOF):
			if name == method("Collect") {
				answer := []byte(strconv.Itoa(sum))
				return call.SendMsg(&answer)
			}
			return nil
		case err != nil:
			return err
		}
		sum += len(message)
		switch name {
		case method("Unary"), method("Chat"):
			if received, ok := metadata.FromIncomingContext(call.Context()); ok {
				message = append(message, strings.Join(received.Get("x-suffix"), "")...)
				message = append(message, strings.Join(received.Get("x-raw-bin"), "")...)
			}
			if err = call.SendMsg(&message); err != nil {
				return err
			}
		case method("Count"):
			count, _ := strconv.Atoi(string(message))
			for i := 0; i < count; i++ {
				answer := []byte(strconv.Itoa(i))
				if err = call.SendMsg(&answer); err != nil {
					return err
				}
			}
			return nil
		case method("Fail"):
			return status.Error(codes.PermissionDenied, "Zu spät: 100 % übel\n")
		case method("Wait"):
			<-call.Context().Done()
			return call.Context().Err()
		case method("Collect"):
		default:
			return status.Error(codes.Unimplemented, name)
		}
	}
}

func runServer(address string, own *identity, age time.Duration) error {
	options := []grpc.ServerOption{grpc.ForceServerCodec(plain{}), grpc.UnknownServiceHandler(echo)}
	if own != nil {
		config := tlsconfig.MTLSServerConfig(own.svid, own.bundle, tlsconfig.AuthorizeID(own.peer))
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	if age > 0 {
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: age}))
	}
	network, where := "tcp", address
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		network, where = "unix", path
	}
	listener, err := net.Listen(network, where)
	if err != nil {
		return err
	}
	server := grpc.NewServer(options...)
	fmt.Println("listening", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.GracefulStop()
	}()
	return server.Serve(listener)
}
