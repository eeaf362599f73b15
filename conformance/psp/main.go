// Command psp asks the PodSecurityPolicy admission plugin of Kubernetes 1.24.17.
//
// It links that release's plugin with its API decoding, defaulting and validation, its pod strategy,
// its ServiceAccount plugin and its RBAC authorizer, and runs them in one process.
// ../README.md has the formats.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"conformance/lines"

	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/capabilities"
)

const usage = `usage: psp COMMAND [--cluster PATH]... < requests > answers

  prepare    the requests as admission sees them: decoded, defaulted, with the service account's effects
  review     what the PodSecurityPolicies of the cluster decide
  strategy   the requests as they leave the step between mutating and validating admission
`

func main() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "psp:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	var clusterPaths paths
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.Var(&clusterPaths, "cluster", "file or folder with the objects of the cluster; may be repeated")
	strict := flags.Bool("strict", false, "fail if the API server would refuse an object of the cluster")
	sent := flags.Bool("as-sent", false, "review requests that are not prepared")
	gates := flags.String("feature-gates", "", "feature gates of the API server that are not as by default, as GATE=true,...")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if err := utilfeature.DefaultMutableFeatureGate.Set(*gates); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}

	// Every installer starts the API server with --allow-privileged; without it no pod may be privileged.
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})

	if args[0] == "strategy" {
		return lines.Each(os.Stdin, os.Stdout, strategyLine)
	}
	cluster, refused, err := loadCluster(clusterPaths)
	if err != nil {
		return err
	}
	for _, refusal := range refused {
		fmt.Fprintln(os.Stderr, "psp:", refusal)
	}
	if *strict && len(refused) > 0 {
		return fmt.Errorf("the API server refuses %d of the cluster's objects", len(refused))
	}
	plugins, err := newPlugins(cluster)
	if err != nil {
		return err
	}
	switch args[0] {
	case "prepare":
		return lines.Each(os.Stdin, os.Stdout, plugins.prepareLine)
	case "review":
		if *sent {
			return lines.Each(os.Stdin, os.Stdout, plugins.reviewSent)
		}
		return lines.Each(os.Stdin, os.Stdout, plugins.reviewLine)
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

type paths []string

func (p *paths) String() string { return strings.Join(*p, ",") }

func (p *paths) Set(path string) error {
	*p = append(*p, path)
	return nil
}
