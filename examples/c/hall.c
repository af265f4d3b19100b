/* hall: many messages in one call, as records (world `game`; ../../wit/packed.md has the layout).
 *
 *   route 120, enter   body: a name. The connection hears the hall from now on; reply: how many have entered
 *   route 121          push to the hall: the name of who entered, or what was said
 *   route 122, say     body: a text for the hall. No reply
 */
#include "guest.h"

enum { ENTER = 120, HEARD = 121, SAY = 122 };
enum { MESSAGE = 0 };                                        /* kinds of request */
enum { REPLY = 0, ERROR = 1, PUBLISH = 5, SUBSCRIBE = 6 };   /* kinds of effect */

struct request {
    uint32_t size;   /* of the whole record */
    uint16_t header; /* from the start of the record to its body; a later host may have more fields in between */
    uint8_t kind, flags;
    uint64_t conn;
    int64_t uid;
    int32_t route, seq;
} __attribute__((packed)); /* no padding, and a record may begin anywhere */

struct effect {
    uint32_t size;
    uint16_t header;
    uint8_t kind, flags;
    uint32_t request; /* which of the list it belongs to */
    int32_t route;
    uint64_t target;
} __attribute__((packed));

/* A body in two parts, because a message to a channel begins with the channel's name. */
struct part {
    const void *at;
    uint32_t bytes;
};
#define PART(literal) (struct part) { literal, sizeof literal - 1 }
#define NOTHING PART("")
#define HALL "hall"

static uint32_t entered;

EXPORT("lifecycle", "describe") uint32_t *describe(void) {
    static const char manifest[] = "{\"name\":\"hall\",\"version\":\"0.1.0\",\"packed\":1,"
                                   "\"routes\":[{\"route\":120,\"name\":\"enter\"},{\"route\":122,\"name\":\"say\"}]}";
    return returned((uint32_t)manifest, sizeof manifest - 1, 0);
}

EXPORT("lifecycle", "start") uint32_t *start(void) { return returned(0, 0, 0); }

EXPORT("lifecycle", "stop") void stop(void) {}

/* Writes one record after the last: with an alignment of 1 the heap leaves no gaps. An import that returns a list would make one. */
static void put(uint8_t kind, uint32_t request, int32_t route, uint64_t target, struct part first, struct part second) {
    struct effect head = { sizeof head + first.bytes + second.bytes, sizeof head, kind, 0, request, route, target };
    __builtin_memcpy(room(1, sizeof head), &head, sizeof head);
    __builtin_memcpy(room(1, first.bytes), first.at, first.bytes);
    __builtin_memcpy(room(1, second.bytes), second.at, second.bytes);
}

static void publish(uint32_t request, struct part text) {
    put(PUBLISH, request, HEARD, sizeof HALL - 1, PART(HALL), text);
}

/* The number of those who entered, in decimal. */
static struct part count(void) {
    static char digits[10];
    uint32_t at = sizeof digits;
    for (uint32_t rest = entered; rest > 0; rest /= 10) digits[--at] = (char)('0' + rest % 10);
    return (struct part) { digits + at, sizeof digits - at };
}

static void handle(const struct request *request, uint32_t index) {
    struct part body = { (const uint8_t *)request + request->header, request->size - request->header };
    if (body.bytes == 0) {
        put(ERROR, index, 1000, 0, PART("say something"), NOTHING); /* the field `route` of an error is its code */
    } else if (request->route == ENTER) {
        entered++;
        put(SUBSCRIBE, index, 0, request->conn, PART(HALL), NOTHING);
        publish(index, body);
        put(REPLY, index, 0, 0, count(), NOTHING);
    } else {
        publish(index, body);
    }
}

EXPORT("batch-handler", "handle-batch") uint32_t *handle_batch(const uint8_t *requests, uint32_t requests_bytes) {
    const uint8_t *effects = room(1, 0);
    uint32_t index = 0;
    for (uint32_t at = 0; at < requests_bytes; index++) {
        const struct request *request = (const struct request *)(requests + at);
        if (request->kind == MESSAGE) handle(request, index); /* of the other kinds there may be more in a later host */
        at += request->size;
    }
    uint32_t effects_bytes = (uint32_t)((const uint8_t *)room(1, 0) - effects);
    heap_used = 0; /* the host reads the effects before it hands over the next requests */
    return returned((uint32_t)effects, effects_bytes, 0);
}
