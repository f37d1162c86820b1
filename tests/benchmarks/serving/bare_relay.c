/* The least that can stand between client and upstream: bytes copied from one socket to the other.
 *
 * What it takes of the processor for an event is the kernel's: to wake, to read and to write. One
 * thread, epoll, blocking writes. It refuses to know what the bytes mean.
 *
 * Usage: bare_relay --port N --upstream N
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 8192, ROOM = 65536 };

static int other[MAX_FD]; /* the socket at the other side; 0 when there is none */
static int watch;

static struct sockaddr_in at(const char *port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void look_at(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event)) abort();
}

static void join(int client, const struct sockaddr_in *upstream) {
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0 || server >= MAX_FD || client >= MAX_FD) abort();
    if (connect(server, (const struct sockaddr *)upstream, sizeof *upstream)) {
        close(server);
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    other[client] = server;
    other[server] = client;
    look_at(client);
    look_at(server);
}

static void part(int fd) {
    int far = other[fd];
    other[fd] = other[far] = 0;
    close(fd);
    close(far);
}

static void copy(int fd) {
    static char bytes[ROOM];
    ssize_t length = read(fd, bytes, sizeof bytes);
    for (ssize_t done = 0; done < length;) {
        ssize_t sent = send(other[fd], bytes + done, (size_t)(length - done), MSG_NOSIGNAL);
        if (sent <= 0) length = 0;
        done += sent;
    }
    if (length <= 0) part(fd);
}

int main(int count, char **words) {
    if (count != 5 || strcmp(words[1], "--port") || strcmp(words[3], "--upstream")) {
        fprintf(stderr, "usage: bare_relay --port N --upstream N\n");
        return 2;
    }
    struct sockaddr_in here = at(words[2]), upstream = at(words[4]);
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(door, (struct sockaddr *)&here, sizeof here) || listen(door, 512)) {
        perror("bare_relay");
        return 1;
    }
    watch = epoll_create1(0);
    look_at(door);
    for (struct epoll_event ready[64];;) {
        int found = epoll_wait(watch, ready, 64, -1);
        for (int i = 0; i < found; i++) {
            int fd = ready[i].data.fd;
            if (fd == door)
                join(accept(door, NULL, NULL), &upstream);
            else if (other[fd]) /* its other side may have gone in this very turn */
                copy(fd);
        }
    }
}
