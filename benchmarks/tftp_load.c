/* A TFTP load client for benchmarks/tftp.py: N clients at a time fetch one file M times in all.
 *
 *   tftp_load SERVER PORT FILE BLKSIZE WINDOWSIZE CLIENTS TRANSFERS
 *
 * One line of JSON on stdout. It speaks RFC 1350, 2347, 2348 and 7440, takes blocks in order, acknowledges the
 * last good block when it sees a gap, and drains a window with recvmmsg, so that it is never the slow part.
 * Data is counted and thrown away. It never sleeps, so that no server is measured by how fast the client wakes up.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, PACKET = 65536, MAX_CLIENTS = 1024, MAX_REPEATS = 8 };

struct client {
	int fd, repeats, oacked;
	uint64_t got, bytes; /* the last block taken in order; logical, never wraps */
	int in_window;
	double heard;
	struct sockaddr_in tid;
};

static struct sockaddr_in server;
static char request[600];
static int request_len, blksize, windowsize, ep, with_options;
static struct client clients[MAX_CLIENTS];
static uint64_t total_bytes, completed, failed, repeats_total, started, transfers;
static char buffers[BATCH][PACKET];

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void begin(struct client *c)
{
	int size = 8 << 20;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	memset(c, 0, sizeof *c);
	c->fd = -1;
	if (started == transfers)
		return;
	started++;
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	c->tid = server;
	c->heard = now();
	epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
	sendto(c->fd, request, request_len, 0, (struct sockaddr *)&server, sizeof server);
}

static void finish(struct client *c, int ok)
{
	total_bytes += ok ? c->bytes : 0;
	completed += ok;
	failed += !ok;
	close(c->fd);
	begin(c);
}

static void ack(struct client *c)
{
	unsigned char p[4] = {0, 4, c->got >> 8, c->got};
	sendto(c->fd, p, 4, 0, (struct sockaddr *)&c->tid, sizeof c->tid);
	c->in_window = 0;
}

/* 1: the transfer is over */
static int take(struct client *c, unsigned char *p, int len, struct sockaddr_in *from)
{
	if (len < 4)
		return 0;
	if (c->tid.sin_port == server.sin_port)
		c->tid = *from;
	if (p[1] == 5) {
		fprintf(stderr, "ERROR %d %.*s\n", p[3], len - 5, p + 4);
		finish(c, 0);
		return 1;
	}
	if (p[1] == 6 && with_options && !c->oacked) {
		c->oacked = 1;
		ack(c);
		return 0;
	}
	if (p[1] != 3)
		return 0;
	if ((uint16_t)(p[2] << 8 | p[3]) != (uint16_t)(c->got + 1)) {
		if (c->in_window >= 0 && windowsize > 1) {
			ack(c);
			c->in_window = -1; /* told once: until the next good block */
		}
		return 0;
	}
	c->got++;
	c->bytes += len - 4;
	c->repeats = 0;
	c->in_window = c->in_window < 0 ? 1 : c->in_window + 1;
	if (len - 4 < blksize) {
		ack(c);
		finish(c, 1);
		return 1;
	}
	if (c->in_window == windowsize)
		ack(c);
	return 0;
}

static void drain(struct client *c)
{
	static struct mmsghdr msgs[BATCH];
	static struct iovec iov[BATCH];
	static struct sockaddr_in from[BATCH];
	int want = windowsize < BATCH ? windowsize : BATCH, n, i;
	for (i = 0; i < want; i++) {
		iov[i].iov_base = buffers[i];
		iov[i].iov_len = PACKET;
		msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i],
						  .msg_iov = &iov[i], .msg_iovlen = 1};
	}
	n = recvmmsg(c->fd, msgs, want, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++)
		if (take(c, (unsigned char *)buffers[i], msgs[i].msg_len, &from[i]))
			return;
}

static void look_for_silence(double t, int n)
{
	for (int i = 0; i < n; i++) {
		struct client *c = &clients[i];
		if (c->fd < 0 || t - c->heard < 1.0)
			continue;
		c->heard = t;
		repeats_total++;
		if (++c->repeats > MAX_REPEATS)
			finish(c, 0);
		else if (c->tid.sin_port == server.sin_port)
			sendto(c->fd, request, request_len, 0, (struct sockaddr *)&server, sizeof server);
		else
			ack(c);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event ready[256];
	int n_clients, n, i;
	double t0, checked;
	if (argc != 8)
		return 2;
	server.sin_family = AF_INET;
	inet_pton(AF_INET, argv[1], &server.sin_addr);
	server.sin_port = htons(atoi(argv[2]));
	blksize = atoi(argv[4]);
	windowsize = atoi(argv[5]);
	n_clients = atoi(argv[6]);
	transfers = strtoull(argv[7], NULL, 10);
	if (n_clients > MAX_CLIENTS || blksize > PACKET - 4)
		return 2;
	request_len = sprintf(request, "%c%c%s%coctet", 0, 1, argv[3], 0) + 1;
	if (blksize != 512)
		request_len += sprintf(request + request_len, "blksize%c%d", 0, blksize) + 1;
	if (windowsize > 1)
		request_len += sprintf(request + request_len, "windowsize%c%d", 0, windowsize) + 1;
	with_options = blksize != 512 || windowsize > 1;
	ep = epoll_create1(0);
	t0 = checked = now();
	for (i = 0; i < n_clients; i++)
		begin(&clients[i]);
	while (completed + failed < transfers) {
		n = epoll_wait(ep, ready, 256, 0); /* never sleeps: it has a core of its own */
		double t = now();
		for (i = 0; i < n; i++) {
			struct client *c = ready[i].data.ptr;
			c->heard = t;
			drain(c);
		}
		if (t - checked > 0.2) {
			look_for_silence(t, n_clients);
			checked = t;
		}
	}
	printf("{\"seconds\": %.6f, \"bytes\": %llu, \"completed\": %llu, \"failed\": %llu, \"repeats\": %llu}\n",
	       now() - t0, (unsigned long long)total_bytes, (unsigned long long)completed,
	       (unsigned long long)failed, (unsigned long long)repeats_total);
	return 0;
}
