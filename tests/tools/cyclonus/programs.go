// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright: The ovn.kubernetes maintainers

//go:build tools

// Package programs names what tests/tools/kubernetes builds, so that go.mod and go.sum hold all that it needs.
package programs

import (
	_ "github.com/mattfenwick/cyclonus/cmd/cyclonus"
)
