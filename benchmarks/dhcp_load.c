/* Load client for benchmarks/dhcp.py: a relay agent with thousands of clients behind it.
 *
 *   dhcp_load name=value ...        prints one line of JSON for each phase
 *
 * Phases (phases=): fresh   DISCOVER, OFFER, REQUEST, ACK, a new client each time
 *                   renew   REQUEST with ciaddr, ACK, by the clients that have an address
 *                   wait    DISCOVER every PROBE_S until the first OFFER, then one line and the end
 * Closed loop: `inflight` exchanges at a time, the next begins when one ends. Open loop (rate > 0): exchanges begin
 * on schedule whatever the server does, none is repeated, and those not done after DEADLINE_S are missed; their
 * latency counts from the time they should have begun.
 *
 * Every answer is checked: hardware address, xid, server id, the address asked for, and that no address is
 * acknowledged to two clients in one run. The rate is taken until the last exchange begins, so that the tail does not
 * count, and so is the CPU time of the processes `pids`. It never sleeps: no server is judged by how fast its client
 * wakes up. But where servers have to share a processor with it, the time is theirs: with nap_us= it looks for answers
 * at intervals, so that neither looking nor being woken by each of them costs much.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 300, OPTIONS = 240, BURST = 64, ROOM = 1600, SERVER_PORT = 67, BUFFER = 16 << 20 };
enum { DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5, NAK = 6 };
enum { IDLE, ASKED, CHOSEN, DONE, MISSED };
static const double REPEAT_S = 1.0, DEADLINE_S = 1.0, SCAN_S = 0.05, GIVE_UP_S = 60.0, QUIET_S = 5.0, PROBE_S = 0.005;
static const int REPEATS_MAX = 5;
static const uint32_t WAIT_XID = 0xfffffff0;

typedef struct {
    double begun, sent;
    uint32_t client, wanted;
    uint8_t state, repeats;
} Exchange;

static uint32_t server_address, net_base, net_size = 16384, *held, *owner; /* by client; by low 24 bits of address */
static long networks = 1, clients, total, inflight = 256, spread, nap_us;
static double rate, stop_s;
static int sock;
static char *pids = "";

static uint8_t out[BURST][PACKET];
static struct mmsghdr out_heads[BURST];
static struct iovec out_parts[BURST];
static struct sockaddr_in target;
static int out_count;

static Exchange *table;
static double *latency;
static long begun, done, strange, doubled, refused, repeated, lost, first_client;
static uint32_t xid_base;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, 4);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return ntohl(value);
}

static long network_of(long client)
{
    return client / (clients / networks) % networks;
}

static long place_of(long client)
{
    return client % (clients / networks);
}

/* The client of exchange `number`. */
static long client_of(long number, int renew)
{
    if (renew)
        number %= clients;
    return spread ? number % networks * (clients / networks) + number / networks : number;
}

static void flush(void)
{
    for (int sent = 0; sent < out_count;) {
        int count = sendmmsg(sock, out_heads + sent, out_count - sent, 0);
        if (count < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED) {
            perror("sendmmsg");
            exit(1);
        }
        if (count > 0)
            sent += count;
    }
    out_count = 0;
}

static void send_request(Exchange *one, int kind, uint32_t xid, uint32_t ciaddr)
{
    static const uint8_t asked[] = {55, 8, 1, 3, 6, 15, 28, 51, 58, 59, 57, 2, 5, 220, 60, 8, 'b', 'e', 'n', 'c', 'h', 'b', 'o', 'x'};
    if (out_count == BURST)
        flush();
    uint8_t *p = out[out_count++], *q = p + OPTIONS;
    memset(p, 0, PACKET);
    p[0] = p[1] = p[3] = 1; /* request, Ethernet, one hop */
    p[2] = 6;
    put32(p + 4, xid);
    put32(p + 12, ciaddr);
    put32(p + 24, net_base + network_of(one->client) * net_size + net_size - 2); /* giaddr */
    p[28] = 2;
    put32(p + 30, one->client);
    put32(p + 236, 0x63825363);
    *q++ = 53, *q++ = 1, *q++ = kind;
    *q++ = 61, *q++ = 7, *q++ = 1;
    memcpy(q, p + 28, 6), q += 6;
    memcpy(q, asked, sizeof asked), q += sizeof asked;
    if (kind == REQUEST && !ciaddr) {
        *q++ = 50, *q++ = 4, put32(q, one->wanted), q += 4;
        *q++ = 54, *q++ = 4, put32(q, server_address), q += 4;
    }
    memcpy(q, "\x52\x06\x01\x04port\xff", 9);
}

static void ask(long index, int renew)
{
    Exchange *one = &table[index];
    one->state = renew ? CHOSEN : ASKED;
    one->sent = now_s();
    if (renew)
        one->wanted = held[one->client];
    send_request(one, renew ? REQUEST : DISCOVER, xid_base + index, renew ? one->wanted : 0);
}

/* Type of a sound reply to exchange `*index`, 0 for anything else. */
static int check(const uint8_t *p, int size, long *index)
{
    int kind = 0;
    uint32_t server = 0;
    if (size < OPTIONS || p[0] != 2 || get32(p + 236) != 0x63825363)
        return 0;
    for (int at = OPTIONS; at < size && p[at] != 255;) {
        if (p[at] == 0) {
            at++;
            continue;
        }
        if (at + 1 >= size || at + 2 + p[at + 1] > size)
            return 0;
        if (p[at] == 53)
            kind = p[at + 2];
        if (p[at] == 54)
            server = get32(p + at + 2);
        at += 2 + p[at + 1];
    }
    *index = (long)(get32(p + 4) - xid_base);
    if (*index < 0 || *index >= total || server != server_address)
        return 0;
    return p[28] == 2 && get32(p + 30) == table[*index].client ? kind : 0;
}

static void take(const uint8_t *p, int size, double at)
{
    long index;
    int kind = check(p, size, &index);
    Exchange *one = &table[index];
    if (size >= OPTIONS && get32(p + 4) == WAIT_XID) {
        return; /* a late answer to the probe before this run */
    } else if (!kind) {
        strange++;
    } else if (kind == OFFER && one->state == ASKED) {
        one->wanted = get32(p + 16);
        one->state = CHOSEN;
        one->sent = at;
        send_request(one, REQUEST, xid_base + index, 0);
    } else if (kind == NAK && one->state == CHOSEN) {
        refused++;
        one->state = MISSED;
    } else if (kind == ACK && one->state == CHOSEN) {
        uint32_t address = get32(p + 16), *who = &owner[address & 0xffffff];
        if (address != one->wanted) {
            strange += !one->repeats; /* else the late answer to an earlier try */
            return;
        }
        if (*who && *who != one->client + 1)
            doubled++;
        *who = one->client + 1;
        held[one->client] = address;
        one->state = DONE;
        if (!rate || at - one->begun <= DEADLINE_S)
            latency[done++] = at - one->begun;
    } /* else a repeat of what we have: a repeated request has two answers */
}

static int receive(void)
{
    static uint8_t in[BURST][ROOM];
    static struct mmsghdr heads[BURST];
    static struct iovec parts[BURST];
    for (int i = 0; i < BURST; i++) {
        parts[i] = (struct iovec){in[i], ROOM};
        heads[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(sock, heads, BURST, MSG_DONTWAIT, NULL);
    double at = now_s();
    for (int i = 0; i < count; i++)
        take(in[i], heads[i].msg_len, at);
    return count;
}

static double cpu_s(void)
{
    double sum = 0;
    char list[256], path[300];
    snprintf(list, sizeof list, "%s", pids);
    for (char *save, *pid = strtok_r(list, ",", &save); pid; pid = strtok_r(NULL, ",", &save)) {
        snprintf(path, sizeof path, "/proc/%s/task", pid);
        DIR *tasks = opendir(path);
        for (struct dirent *task; tasks && (task = readdir(tasks));) {
            char name[600];
            unsigned long long spent = 0;
            snprintf(name, sizeof name, "%s/%s/schedstat", path, task->d_name);
            FILE *file = task->d_name[0] == '.' ? NULL : fopen(name, "r");
            if (file && fscanf(file, "%llu", &spent) == 1)
                sum += spent / 1e9;
            if (file)
                fclose(file);
        }
        if (tasks)
            closedir(tasks);
    }
    return sum;
}

/* Closed loop: repeat what waits too long, count what is given up; returns how many are still under way. */
static long scan(long from, double at, int renew)
{
    long under_way = 0;
    for (long i = from; i < begun; i++) {
        Exchange *one = &table[i];
        if (one->state != ASKED && one->state != CHOSEN)
            continue;
        under_way++;
        if (at - one->sent < REPEAT_S || rate)
            continue;
        if (one->repeats++ == REPEATS_MAX) {
            one->state = MISSED;
            lost++;
        } else {
            repeated++;
            ask(i, renew);
        }
    }
    return under_way;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double seconds, long counted, double cpu)
{
    qsort(latency, done, sizeof *latency, by_size);
    printf("{\"phase\": \"%s\", \"begun\": %ld, \"done\": %ld, \"seconds\": %.6f, \"rate\": %.1f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"cpu_us\": %.2f, \"repeated\": %ld, \"lost\": %ld, \"refused\": %ld, "
           "\"strange\": %ld, \"doubled\": %ld}\n",
           name, begun, done, seconds, counted / seconds, done ? latency[done / 2] * 1e3 : 0,
           done ? latency[done * 99 / 100] * 1e3 : 0, done ? latency[done - 1] * 1e3 : 0, counted ? cpu / counted * 1e6 : 0, repeated, lost, refused,
           strange, doubled);
    fflush(stdout);
}

static void run(const char *name, int renew)
{
    begun = done = strange = doubled = refused = repeated = lost = 0;
    xid_base += total + 1;
    for (long i = 0; i < total; i++)
        table[i] = (Exchange){.client = first_client + client_of(i, renew)};
    double start = now_s(), scanned = start, last = start, at = start, cpu = cpu_s(), window = 0;
    long counted = 0, oldest = 0, seen = 0, end = total;
    while (1) {
        at = now_s();
        if (stop_s && at - start >= stop_s)
            end = begun;
        while (begun < end && (rate ? start + begun / rate <= at : begun - done - lost - refused < inflight)) {
            table[begun].begun = rate ? start + begun / rate : at;
            ask(begun++, renew);
        }
        flush();
        if (receive() < BURST && nap_us)
            usleep(nap_us);
        if (begun == end && !window)
            window = now_s() - start, counted = done, cpu = cpu_s() - cpu;
        if (done != seen)
            seen = done, last = at;
        if (at - scanned < SCAN_S)
            continue;
        scanned = at;
        while (oldest < begun && table[oldest].state >= DONE)
            oldest++;
        long left = scan(oldest, at, renew);
        int over = rate ? at - start > total / rate + DEADLINE_S : left == 0;
        if ((begun == end && over) || at - start > GIVE_UP_S || (!rate && at - last > QUIET_S))
            break;
    }
    if (rate) /* answers within the deadline, for the time in which exchanges began */
        window = total / rate, counted = done;
    else if (!window)
        window = at - start, counted = done, cpu = cpu_s() - cpu;
    report(name, window, counted, cpu);
}

static void wait_for_server(void)
{
    double start = now_s(), sent = 0;
    table[0] = (Exchange){.client = first_client};
    xid_base = WAIT_XID;
    while (table[0].state != CHOSEN && now_s() - start < GIVE_UP_S) {
        if (now_s() - sent > PROBE_S) {
            sent = now_s();
            ask(0, 0);
            flush();
        }
        uint8_t in[ROOM];
        long index, size = recv(sock, in, ROOM, MSG_DONTWAIT);
        if (size > 0 && check(in, size, &index) == OFFER)
            table[0].state = CHOSEN;
    }
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    printf("{\"phase\": \"wait\", \"answered\": %d, \"at\": %.6f}\n", table[0].state == CHOSEN, t.tv_sec + t.tv_nsec / 1e9);
}

static void open_socket(void)
{
    int size = BUFFER;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
    sock = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (bind(sock, (struct sockaddr *)&own, sizeof own)) {
        perror("bind to port 67");
        exit(1);
    }
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(SERVER_PORT), .sin_addr.s_addr = htonl(server_address)};
    for (int i = 0; i < BURST; i++) {
        out_parts[i] = (struct iovec){out[i], PACKET};
        out_heads[i].msg_hdr = (struct msghdr){.msg_name = &target, .msg_namelen = sizeof target, .msg_iov = &out_parts[i], .msg_iovlen = 1};
    }
}

int main(int argc, char **argv)
{
    char *phases = "fresh";
    long loaded = 0;
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return fprintf(stderr, "%s: write name=value\n", argv[i]), 2;
        *value++ = 0;
#define TEXT(name, field) else if (!strcmp(argv[i], name)) field = value
#define NUMBER(name, field) else if (!strcmp(argv[i], name)) field = atof(value)
#define ADDRESS(name, field) else if (!strcmp(argv[i], name)) field = ntohl(inet_addr(value))
        if (0) ;
        TEXT("phases", phases);
        TEXT("pids", pids);
        NUMBER("networks", networks);   /* how many, side by side from net_base, net_size addresses each */
        NUMBER("net_size", net_size);
        NUMBER("clients", clients);     /* the same number for each network */
        NUMBER("total", total);         /* exchanges of a phase; default: each client once */
        NUMBER("inflight", inflight);
        NUMBER("rate", rate);
        NUMBER("seconds", stop_s);      /* begin no exchange after that; default: all of them */
        NUMBER("spread", spread);       /* 1: the networks in turn; 0: one after the other */
        NUMBER("nap_us", nap_us);       /* sleep for so long when all that came in is answered */
        NUMBER("loaded", loaded);       /* 1: the server has a binding for each client already */
        NUMBER("first", first_client);
        ADDRESS("server", server_address);
        ADDRESS("net_base", net_base);
        else return fprintf(stderr, "%s: unknown\n", argv[i]), 2;
    }
    total = total ? total : clients;
    table = calloc(total + 1, sizeof *table);
    latency = calloc(total + 1, sizeof *latency);
    held = calloc(first_client + (clients > total ? clients : total) + 1, sizeof *held);
    owner = calloc(1 << 24, sizeof *owner);
    for (long i = 0; loaded && i < clients; i++)
        held[i] = net_base + network_of(i) * net_size + 1 + place_of(i);
    xid_base = (uint32_t)getpid() << 12;
    open_socket();
    int had_one = 0;
    for (char *save, *phase = strtok_r(phases, ",", &save); phase; phase = strtok_r(NULL, ",", &save)) {
        if (!strcmp(phase, "wait"))
            wait_for_server();
        else {
            if (had_one && !strcmp(phase, "renew"))
                usleep(1200000); /* in the second of the lease itself, a renewal alters nothing: no server had to write */
            run(phase, !strcmp(phase, "renew"));
            had_one = 1;
        }
    }
    return 0;
}
