// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: The ovn.kubernetes maintainers

// Package suite is the conformance suite of network-policy-api as a program of its own. Upstream's program has no
// option for tests that are not run, and would count those as passed.
package suite

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes"
	clients "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/yaml"

	policies "sigs.k8s.io/network-policy-api/apis/v1beta1"
	"sigs.k8s.io/network-policy-api/conformance/apis/v1alpha1"
	"sigs.k8s.io/network-policy-api/conformance/tests"
	"sigs.k8s.io/network-policy-api/conformance/utils/suite"
)

var (
	experimental = flag.Bool("experimental", false, "also the features of the experimental channel")
	only         = flag.String("only", "", "run only tests with names like this regular expression")
	notRun       = flag.String("not-run", "", "names of tests that are not run, with commas between")
	version      = flag.String("version", "", "what the report calls the version that was tested")
	output       = flag.String("report", "", "the file for the report")
)

// TestClusterNetworkPolicy runs the suite on the cluster of $KUBECONFIG, and writes its report.
func TestClusterNetworkPolicy(t *testing.T) {
	connection, err := config.GetConfig()
	check(t, err)
	set, err := kubernetes.NewForConfig(connection)
	check(t, err)
	check(t, policies.Install(clients.Scheme))
	check(t, apiextensions.AddToScheme(clients.Scheme))
	objects, err := client.New(connection, client.Options{Scheme: clients.Scheme})
	check(t, err)

	left := strings.Split(*notRun, ",")
	names := regexp.MustCompile(*only)
	for _, test := range tests.ConformanceTests {
		if !names.MatchString(test.ShortName) {
			left = append(left, test.ShortName)
		}
	}
	run, err := suite.NewConformanceProfileTestSuite(suite.ConformanceProfileOptions{
		Options: suite.Options{
			Client:                     objects,
			ClientSet:                  set,
			KubeConfig:                 *connection,
			CleanupBaseResources:       true,
			EnableAllSupportedFeatures: *experimental,
			SkipTests:                  left,
		},
		Implementation: v1alpha1.Implementation{
			Organization: "ovn.kubernetes",
			Project:      "ovn.kubernetes",
			Version:      *version,
		},
		ConformanceProfiles: sets.New(suite.CNPConformanceProfileName),
	})
	check(t, err)
	run.Setup(t)
	check(t, run.Run(t, tests.ConformanceTests))
	report, err := run.Report()
	check(t, err)
	text, err := yaml.Marshal(report)
	check(t, err)
	check(t, os.WriteFile(*output, text, 0o644))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
