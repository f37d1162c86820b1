/* A vLLM server without a model, fast enough never to be what is measured.
 *
 * It knows the few paths that gateways call and answers at once: one thread, epoll, HTTP/1.1 with
 * keep-alive and pipelining. It refuses to know JSON: it looks for the fields it needs by name.
 *
 * Usage: mock_upstream --port N [--chunks N] [--gap-us N]
 *   --chunks   events of a stream whose request has no `max_tokens`; each is a write of its own
 *   --gap-us   pause between two events, in microseconds; `POST /gap/N` changes it
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "mock_http.h"

enum { MAX_FD = 8192, MAX_ADAPTERS = 2048, NAME = 128, PATH = 512, ROOM = 65536 };
#define BASE "tiny-base"
#define CREATED 1700000000

struct connection {
    int fd, timer;       /* timer: -1 until a stream needs a pause */
    bool wants_write;    /* registered for EPOLLOUT */
    bool streaming;      /* an answer is not complete: the next request waits */
    bool pausing;        /* until the timer fires */
    bool is_chat, wants_usage;
    long event, events;  /* the next event of the stream, and how many there are */
    char id[NAME], model[NAME];
    struct buffer in, out;
    size_t sent;         /* bytes of `out` that are written */
};

struct adapter {
    char name[NAME], path[PATH];
};

static struct connection *connections[MAX_FD];
static struct adapter adapters[MAX_ADAPTERS];
static int adapter_count, poller;
static long default_events = 32, gap_us = 0;
static unsigned long answers = 0, events_sent = 0;

static void answer(struct connection *c, int status, const char *type, const char *body) {
    const char *reason = status == 200 ? "OK" : status == 400 ? "Bad Request" : "Not Found";
    put(&c->out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n\r\n%s", status,
        reason, type, strlen(body), body);
}

static void answer_problem(struct connection *c, int status, const char *message) {
    char body[PATH + NAME];
    const char *type = status == 404 ? "NotFoundError" : "InvalidUserInput";
    snprintf(body, sizeof body,
             "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":%d}}", message,
             type, status);
    answer(c, status, "application/json", body);
}

/* ---- adapters ---- */

static int find_adapter(const char *name) {
    for (int i = 0; i < adapter_count; i++)
        if (!strcmp(adapters[i].name, name)) return i;
    return -1;
}

static void list_models(struct connection *c) {
    struct buffer list = {0};
    put(&list, "{\"object\":\"list\",\"data\":[{\"id\":\"" BASE "\",\"object\":\"model\","
               "\"created\":%d,\"owned_by\":\"vllm\",\"root\":\"" BASE "\",\"parent\":null,"
               "\"max_model_len\":2048}", CREATED);
    for (int i = 0; i < adapter_count; i++)
        put(&list, ",{\"id\":\"%s\",\"object\":\"model\",\"created\":%d,\"owned_by\":\"vllm\","
                   "\"root\":\"%s\",\"parent\":\"" BASE "\"}",
            adapters[i].name, CREATED, adapters[i].path);
    put(&list, "]}");
    answer(c, 200, "application/json", list.bytes);
    free(list.bytes);
}

static void load_adapter(struct connection *c, char *body) {
    struct adapter wanted;
    if (!text_of(body, "\"lora_name\"", wanted.name, NAME) ||
        !text_of(body, "\"lora_path\"", wanted.path, PATH) || adapter_count == MAX_ADAPTERS)
        return answer_problem(c, 400, "Both 'lora_name' and 'lora_path' must be provided.");
    if (find_adapter(wanted.name) >= 0)
        return answer_problem(c, 400, "The lora adapter has already been loaded.");
    adapters[adapter_count++] = wanted;
    answer(c, 200, "text/plain", "Success: LoRA adapter added successfully.");
}

static void unload_adapter(struct connection *c, char *body) {
    char name[NAME];
    int found = text_of(body, "\"lora_name\"", name, NAME) ? find_adapter(name) : -1;
    if (found < 0) return answer_problem(c, 404, "The lora adapter cannot be found.");
    adapters[found] = adapters[--adapter_count];
    answer(c, 200, "text/plain", "Success: LoRA adapter removed successfully.");
}

/* ---- answers ---- */

/* Every token has log-probability -1 under the base model and -0.5 under any adapter. */
static void answer_logprobs(struct connection *c, char *prompt) {
    const char *value = strcmp(c->model, BASE) ? "-0.5" : "-1.0";
    struct buffer list = {0};
    put(&list, "{\"id\":\"%s\",\"object\":\"text_completion\",\"created\":%d,\"model\":\"%s\","
               "\"choices\":[{\"index\":0,\"text\":\".\",\"finish_reason\":\"length\","
               "\"prompt_logprobs\":[null", c->id, CREATED, c->model);
    strtol(prompt + 1, &prompt, 10);
    while (*prompt == ',' || *prompt == ' ') {
        if (*prompt == ' ') { prompt++; continue; }
        long token = strtol(prompt + 1, &prompt, 10);
        put(&list, ",{\"%ld\":{\"logprob\":%s,\"rank\":1,\"decoded_token\":\"a\"}}", token, value);
    }
    put(&list, "]}],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":1,\"total_tokens\":5}}");
    answer(c, 200, "application/json", list.bytes);
    free(list.bytes);
}

static void answer_whole(struct connection *c) {
    char body[1024];
    const char *choice = c->is_chat
        ? "\"message\":{\"role\":\"assistant\",\"content\":\"Your card is on its way.\"}"
        : "\"text\":\"Your card is on its way.\"";
    snprintf(body, sizeof body,
             "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%d,\"model\":\"%s\",\"choices\":["
             "{\"index\":0,%s,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":"
             "{\"prompt_tokens\":12,\"completion_tokens\":7,\"total_tokens\":19}}",
             c->id, c->is_chat ? "chat.completion" : "text_completion", CREATED, c->model, choice);
    answer(c, 200, "application/json", body);
}

static void pause_stream(struct connection *c) {
    struct epoll_event event = {EPOLLIN, {.u64 = (uint64_t)c->fd << 1 | 1}};
    struct itimerspec pause = {{0, 0}, {gap_us / 1000000, gap_us % 1000000 * 1000}};
    if (c->timer < 0) {
        c->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        epoll_ctl(poller, EPOLL_CTL_ADD, c->timer, &event);
    }
    timerfd_settime(c->timer, 0, &pause, NULL);
    c->pausing = true;
}

/* The order of a stream: the texts, the usage if it is wanted, `[DONE]`. One call, one write. */
static void put_event(struct connection *c) {
    char data[1024];
    const char *head = "data: {\"id\":\"%s\",\"object\":\"%s\",\"created\":%d,\"model\":\"%s\",";
    int length = snprintf(data, sizeof data, head, c->id,
                          c->is_chat ? "chat.completion.chunk" : "text_completion", CREATED,
                          c->model);
    char *rest = data + length;
    size_t room = sizeof data - (size_t)length;
    long position = c->event++;
    if (position < c->events) {
        const char *text = c->is_chat ? "\"delta\":{\"content\":\" way\"}" : "\"text\":\" way\"";
        snprintf(rest, room, "\"choices\":[{\"index\":0,%s,\"logprobs\":null,"
                 "\"finish_reason\":%s}]}\n\n", text,
                 position == c->events - 1 ? "\"stop\"" : "null");
        events_sent++;
    } else if (position == c->events && c->wants_usage) {
        snprintf(rest, room, "\"choices\":[],\"usage\":{\"prompt_tokens\":12,"
                 "\"completion_tokens\":%ld,\"total_tokens\":%ld}}\n\n", c->events, c->events + 12);
    } else {
        c->streaming = false;
        put(&c->out, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
        return;
    }
    put(&c->out, "%zx\r\n%s\r\n", strlen(data), data);
    if (gap_us && position < c->events) pause_stream(c);
}

static void generate(struct connection *c, struct request *r, bool is_chat) {
    char *prompt = value_of(r->body, "\"prompt\"");
    char *tokens = value_of(r->body, "\"max_tokens\"");
    const char *prefix = is_chat ? "chatcmpl-" : "cmpl-";
    answers++;
    c->is_chat = is_chat;
    if (r->id_length && r->id_length < NAME - 16)
        snprintf(c->id, NAME, "%s%.*s", prefix, (int)r->id_length, r->id);
    else
        snprintf(c->id, NAME, "%s%016lx", prefix, answers);
    if (!text_of(r->body, "\"model\"", c->model, NAME)) strcpy(c->model, BASE);
    if (prompt && *prompt == '[' && value_of(r->body, "\"prompt_logprobs\""))
        return answer_logprobs(c, prompt);
    if (!is_true(r->body, "\"stream\"")) return answer_whole(c);
    c->streaming = true;
    c->wants_usage = is_true(r->body, "\"include_usage\"");
    c->event = 0;
    c->events = tokens ? atol(tokens) : default_events;
    put(&c->out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                 "transfer-encoding: chunked\r\n\r\n");
}

static bool is(struct request *r, const char *method, const char *path) {
    return r->method_length == strlen(method) && !memcmp(r->method, method, r->method_length) &&
           r->path_length == strlen(path) && !memcmp(r->path, path, r->path_length);
}

static void handle(struct connection *c, struct request *r) {
    char figures[128];
    char after = r->body[r->body_length]; /* the next request may begin here */
    r->body[r->body_length] = 0;
    if (is(r, "POST", "/v1/chat/completions")) generate(c, r, true);
    else if (is(r, "POST", "/v1/completions")) generate(c, r, false);
    else if (is(r, "GET", "/health")) answer(c, 200, "text/plain", "");
    else if (is(r, "GET", "/v1/models")) list_models(c);
    else if (is(r, "POST", "/v1/load_lora_adapter")) load_adapter(c, r->body);
    else if (is(r, "POST", "/v1/unload_lora_adapter")) unload_adapter(c, r->body);
    else if (is(r, "GET", "/stats")) {
        snprintf(figures, sizeof figures, "{\"answers\":%lu,\"events\":%lu}", answers, events_sent);
        answer(c, 200, "application/json", figures);
    } else if (r->path_length > 5 && !memcmp(r->path, "/gap/", 5)) {
        gap_us = atol(r->path + 5);
        answer(c, 200, "text/plain", "");
    } else answer_problem(c, 404, "Not Found");
    r->body[r->body_length] = after;
}

/* ---- requests ---- */

static bool take_request(struct connection *c) {
    struct request r;
    if (!c->in.length || !parse(&c->in, &r)) return false;
    handle(c, &r);
    c->in.length -= r.total_length;
    memmove(c->in.bytes, c->in.bytes + r.total_length, c->in.length + 1);
    return true;
}

/* ---- connections ---- */

static void hang_up(struct connection *c) {
    connections[c->fd] = NULL;
    close(c->fd);
    if (c->timer >= 0) close(c->timer);
    free(c->in.bytes);
    free(c->out.bytes);
    free(c);
}

static bool watch(struct connection *c, bool wants_write) {
    if (c->wants_write == wants_write) return true;
    struct epoll_event event = {EPOLLIN | (wants_write ? EPOLLOUT : 0u),
                                {.u64 = (uint64_t)c->fd << 1}};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->wants_write = wants_write;
    return true;
}

/* Write what is due, and go on with the stream or the next request. False: the peer has gone. */
static bool advance(struct connection *c) {
    for (;;) {
        while (c->sent < c->out.length) {
            char *rest = c->out.bytes + c->sent;
            ssize_t count = send(c->fd, rest, c->out.length - c->sent, MSG_NOSIGNAL);
            if (count < 0 && errno != EAGAIN) return false;
            if (count < 0) return watch(c, true);
            c->sent += (size_t)count;
        }
        c->out.length = c->sent = 0;
        if (c->pausing) return watch(c, false);
        if (c->streaming) put_event(c);
        else if (!take_request(c)) return watch(c, false);
    }
}

static bool receive(struct connection *c) {
    reserve(&c->in, ROOM);
    ssize_t count = recv(c->fd, c->in.bytes + c->in.length, ROOM, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN)) return false;
    if (count > 0) c->in.length += (size_t)count;
    c->in.bytes[c->in.length] = 0;
    return true;
}

static void welcome(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FD) { close(fd); continue; }
        struct epoll_event event = {EPOLLIN, {.u64 = (uint64_t)fd << 1}};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[fd] = calloc(1, sizeof(struct connection));
        if (!connections[fd]) abort();
        connections[fd]->fd = fd;
        connections[fd]->timer = -1;
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static void attend(struct epoll_event *event) {
    struct connection *c = connections[event->data.u64 >> 1];
    if (!c) return; /* hung up earlier in this round */
    uint64_t expirations;
    bool alive = true;
    if (event->data.u64 & 1) {
        if (read(c->timer, &expirations, sizeof expirations) > 0) c->pausing = false;
    } else if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        alive = receive(c);
    }
    if (!alive || !advance(c)) hang_up(c);
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("mock_upstream");
        exit(1);
    }
    return listener;
}

int main(int count, char **words) {
    int port = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(words[i], "--port")) port = atoi(words[i + 1]);
        else if (!strcmp(words[i], "--chunks")) default_events = atol(words[i + 1]);
        else if (!strcmp(words[i], "--gap-us")) gap_us = atol(words[i + 1]);
    }
    int listener = listen_on(port);
    poller = epoll_create1(0);
    struct epoll_event own = {EPOLLIN, {.u64 = (uint64_t)listener << 1}}, events[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &own);
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.u64 == own.data.u64) welcome(listener);
            else attend(&events[i]);
        }
    }
}
