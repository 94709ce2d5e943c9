// cnirunner: one command of a CNI runtime, by libcni.
//
//	cnirunner VERB CONFLIST CONTAINER NETNS IFNAME [CAPABILITIES [ARGS]]
//
// VERB: validate, add, check, del. CAPABILITIES: JSON. ARGS: K=V;K=V. Plugins are found by CNI_PATH; results are kept in
// CNI_CACHE. Prints what add results in; an error goes to standard output as the plugin said it, with status 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

func run(verb string, words []string) error {
	list, err := libcni.ConfListFromBytes([]byte(words[0]))
	if err != nil {
		return err
	}
	runtime := &libcni.RuntimeConf{ContainerID: words[1], NetNS: words[2], IfName: words[3]}
	if len(words) > 4 && words[4] != "" {
		if err := json.Unmarshal([]byte(words[4]), &runtime.CapabilityArgs); err != nil {
			return err
		}
	}
	if len(words) > 5 {
		for _, pair := range strings.Split(words[5], ";") {
			key, value, _ := strings.Cut(pair, "=")
			runtime.Args = append(runtime.Args, [2]string{key, value})
		}
	}
	cni := libcni.NewCNIConfigWithCacheDir(strings.Split(os.Getenv("CNI_PATH"), ":"), os.Getenv("CNI_CACHE"), nil)
	switch verb {
	case "validate":
		_, err = cni.ValidateNetworkList(context.Background(), list)
	case "add":
		result, err := cni.AddNetworkList(context.Background(), list, runtime)
		if err != nil {
			return err
		}
		return result.PrintTo(os.Stdout)
	case "check":
		err = cni.CheckNetworkList(context.Background(), list, runtime)
	case "del":
		err = cni.DelNetworkList(context.Background(), list, runtime)
	default:
		err = fmt.Errorf("no verb %s", verb)
	}
	return err
}

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
