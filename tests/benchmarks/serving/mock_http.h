/* Requests as they come over the wire, and what is in them: bytes, heads, bodies, fields.
 *
 * It refuses to know sockets and what is answered.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct buffer {
    char *bytes;
    size_t length, capacity;
};

struct request {
    char *method, *path, *body, *id;
    size_t method_length, path_length, body_length, id_length, total_length;
};

static struct buffer joined; /* the body of the request in hand, if it came in chunks */

static void reserve(struct buffer *buffer, size_t more) {
    size_t needed = buffer->length + more + 1; /* room for a closing NUL */
    if (needed <= buffer->capacity) return;
    buffer->capacity = needed * 2;
    buffer->bytes = realloc(buffer->bytes, buffer->capacity);
    if (!buffer->bytes) abort();
}

__attribute__((format(printf, 2, 3))) static void put(struct buffer *out, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    reserve(out, (size_t)length);
    vsnprintf(out->bytes + out->length, (size_t)length + 1, format, again);
    out->length += (size_t)length;
    va_end(again);
    va_end(arguments);
}

/* Join the chunks in `joined`. Returns the bytes they took on the wire, 0 if they are not all here. */
static size_t join_chunks(char *from, const char *end) {
    joined.length = 0;
    for (char *read = from;;) {
        char *line = memmem(read, (size_t)(end - read), "\r\n", 2);
        size_t size = line ? strtoul(read, NULL, 16) : 0;
        if (!line || (size_t)(end - line) < size + 4) return 0;
        reserve(&joined, size);
        memcpy(joined.bytes + joined.length, line + 2, size);
        joined.length += size;
        read = line + 2 + size + 2;
        if (size == 0) return (size_t)(read - from);
    }
}

/* Find one whole request at the start of `in`. */
static bool parse(struct buffer *in, struct request *r) {
    char *start = in->bytes, *end = in->bytes + in->length;
    char *head_end = in->length ? memmem(start, in->length, "\r\n\r\n", 4) : NULL;
    if (!head_end) return false;
    bool is_chunked = false;
    memset(r, 0, sizeof *r);
    r->body = head_end + 4;
    for (char *line = strstr(start, "\r\n"); line < head_end; line = strstr(line + 2, "\r\n")) {
        char *name = line + 2;
        if (!strncasecmp(name, "content-length:", 15)) r->body_length = strtoul(name + 15, NULL, 10);
        else if (!strncasecmp(name, "transfer-encoding: chunked", 26)) is_chunked = true;
        else if (!strncasecmp(name, "x-request-id: ", 14)) {
            r->id = name + 14;
            r->id_length = strcspn(r->id, "\r");
        }
    }
    size_t body_on_wire = r->body_length;
    char *body_start = r->body;
    if (is_chunked) {
        body_on_wire = join_chunks(r->body, end);
        if (!body_on_wire) return false;
        body_start = joined.bytes;
        r->body_length = joined.length;
    }
    r->total_length = (size_t)(r->body - start) + body_on_wire;
    r->body = body_start;
    r->method = start;
    r->method_length = strcspn(start, " ");
    r->path = start + r->method_length + 1;
    r->path_length = strcspn(r->path, " ?\r");
    return r->total_length <= in->length;
}

/* ---- the fields of a body ---- */

static char *value_of(char *body, const char *quoted_name) {
    char *found = strstr(body, quoted_name);
    if (!found) return NULL;
    found += strlen(quoted_name);
    found += strspn(found, " \t\r\n");
    if (*found++ != ':') return NULL;
    return found + strspn(found, " \t\r\n");
}

static bool text_of(char *body, const char *quoted_name, char *into, size_t room) {
    char *value = value_of(body, quoted_name);
    if (!value || *value++ != '"') return false;
    size_t length = strcspn(value, "\"");
    if (length >= room) return false;
    memcpy(into, value, length);
    into[length] = 0;
    return true;
}

static bool is_true(char *body, const char *quoted_name) {
    char *value = value_of(body, quoted_name);
    return value && !strncmp(value, "true", 4);
}
