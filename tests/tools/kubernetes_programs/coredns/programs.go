// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: The ovn.kubernetes maintainers

//go:build tools

// Package coredns names what tests/tools/kubernetes builds.
package coredns

import _ "github.com/coredns/coredns"
