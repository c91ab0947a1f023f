/*
 * The least that a server of events can do: it answers a GET with the head of an event stream,
 * and writes the body of a POST, framed once, to every open stream. No topics, ids, heartbeats
 * or limits: it is there to be measured against, not to be used.
 *
 *   floor PORT      on 127.0.0.1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request of the bench has some hundreds of bytes; a longer one is not from there. */
enum { REQUEST_BYTES = 16384, BACKLOG = 4096, READY_AT_ONCE = 512 };

static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\n"
                                  "Content-Type: text/event-stream\r\n"
                                  "Cache-Control: no-store\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n";
static const char PUBLISHED[] = "HTTP/1.1 204 No Content\r\n\r\n";

struct client {
    int fd;
    /* What came of a request so far; a stream, which asks for nothing more, has none. */
    char *request;
    size_t length;
    struct client *previous, *next; /* among the streams, or among those to be freed */
};

static int poll_fd;
static struct client *streams, *gone;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int is_stream(const struct client *client) { return client->request == NULL; }

static void leave_streams(struct client *client) {
    if (client->previous)
        client->previous->next = client->next;
    else
        streams = client->next;
    if (client->next)
        client->next->previous = client->previous;
}

/* Freed later: an event of the same round of epoll may still name it. */
static void drop(struct client *client) {
    if (is_stream(client))
        leave_streams(client);
    close(client->fd);
    client->fd = -1;
    client->next = gone;
    gone = client;
}

static void free_gone(void) {
    while (gone) {
        struct client *client = gone;
        gone = client->next;
        free(client->request);
        free(client);
    }
}

/* A client that takes less than all of it (EAGAIN, or a part) is dropped: to keep the rest for it
 * is what a real server does, and the floor is without it. */
static int send_whole(struct client *client, const char *bytes, size_t length) {
    if (send(client->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
        return 1;
    drop(client);
    return 0;
}

static void open_stream(struct client *client) {
    if (!send_whole(client, STREAM_HEAD, sizeof STREAM_HEAD - 1))
        return;
    free(client->request);
    client->request = NULL;
    client->previous = NULL;
    client->next = streams;
    if (streams)
        streams->previous = client;
    streams = client;
}

static void publish(const char *data, int length) {
    static char chunk[REQUEST_BYTES + 64];
    static const char before[] = "data: ", after[] = "\n\n";
    int event_bytes = length + (int)(sizeof before + sizeof after) - 2;
    int chunk_bytes = snprintf(chunk, sizeof chunk, "%x\r\n%s%.*s%s\r\n", event_bytes, before,
                               length, data, after);
    struct client *next;
    for (struct client *client = streams; client; client = next) {
        next = client->next;
        send_whole(client, chunk, (size_t)chunk_bytes);
    }
}

/* Take the first request of the buffer, if it is whole; return whether there was one. */
static int take_request(struct client *client) {
    client->request[client->length] = '\0';
    char *end = strstr(client->request, "\r\n\r\n");
    if (!end)
        return 0;
    if (strncmp(client->request, "GET ", 4) == 0) {
        open_stream(client);
        return 0;
    }
    char *field = strcasestr(client->request, "\r\ncontent-length:");
    char *body = end + 4;
    size_t head_bytes = (size_t)(body - client->request);
    size_t body_bytes = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    if (body_bytes >= REQUEST_BYTES - head_bytes) {
        drop(client);
        return 0;
    }
    if (client->length < head_bytes + body_bytes)
        return 0;
    publish(body, (int)body_bytes);
    client->length -= head_bytes + body_bytes;
    memmove(client->request, body + body_bytes, client->length);
    return send_whole(client, PUBLISHED, sizeof PUBLISHED - 1);
}

static void receive(struct client *client) {
    static char unwanted[REQUEST_BYTES];
    char *into = unwanted;
    size_t room = sizeof unwanted;
    if (!is_stream(client)) {
        into = client->request + client->length;
        room = REQUEST_BYTES - 1 - client->length;
    }
    ssize_t received = recv(client->fd, into, room, 0);
    if (received < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (received <= 0) { /* it left, or its request has no room */
        drop(client);
        return;
    }
    if (is_stream(client))
        return;
    client->length += (size_t)received;
    while (take_request(client))
        ;
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *client = calloc(1, sizeof *client);
        if (!client || !(client->request = malloc(REQUEST_BYTES)))
            die("malloc");
        client->fd = fd;
        /* An event is not to wait for the acknowledgement of the one before. */
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
            die("setsockopt");
        struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = client};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &wanted) < 0)
            die("epoll_ctl");
    }
    /* Anything else would come again at once, for ever: no files are left, most likely. */
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        die("accept");
}

static int listen_on(const char *port) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, BACKLOG) < 0)
        die("listen");
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }
    int listener = listen_on(argv[1]);
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = NULL}, ready[READY_AT_ONCE];
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &wanted) < 0)
        die("epoll");
    for (;;) {
        int count = epoll_wait(poll_fd, ready, READY_AT_ONCE, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *client = ready[i].data.ptr;
            if (!client)
                accept_all(listener);
            else if (client->fd >= 0)
                receive(client);
        }
        free_gone();
    }
}
