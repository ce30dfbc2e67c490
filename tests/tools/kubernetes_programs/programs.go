// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: The ovn.kubernetes maintainers

//go:build tools

// Package programs names what tests/tools/kubernetes builds, so that go.mod and go.sum hold all that these need.
package programs

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
	_ "k8s.io/kubernetes/test/e2e"
	_ "k8s.io/kubernetes/test/images/agnhost"
)
