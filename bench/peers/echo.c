/* SPDX-License-Identifier: MIT */
/*
 * echo - the protocol that sends back what came, from the same bytes.
 */
#include "peer.h"

int peer_answer(struct peer_conn *conn)
{
	conn->out = conn->in;
	conn->out_len = conn->have;
	conn->have = 0;
	return 0;
}
