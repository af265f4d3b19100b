/* dice: one call for each message, and one for each event (world `game-single-events`).
 *
 *   route 100, roll   body "6", reply "4": rolls a die of 6 sides
 *   route 101         push "you rolled the highest": sent before the reply if that is so
 */
#include "guest.h"

enum { ROLL = 100, HIGHEST = 101 };
enum { INFO = 3 };
enum { CONNECT = 1 };

IMPORT("random", "number") uint32_t random_number(void);
IMPORT("log", "write") void log_write(uint32_t level, const char *text, uint32_t text_bytes);
IMPORT("config", "get") void config_get(const char *key, uint32_t key_bytes, uint32_t *answer);
IMPORT("gateway", "push") void push(uint64_t conn, int32_t route, const char *body, uint32_t body_bytes, uint32_t *answer);
IMPORT("gateway", "error-code") void error_code(uint32_t code, uint32_t *answer);

/* What imports return. The first number of a result is one byte; the three after it are whatever they were. */
static uint32_t answer[3];
static int failed(void) { return *(uint8_t *)answer; }

static uint32_t sides_max = 100;

EXPORT("lifecycle", "describe") uint32_t *describe(void) {
    static const char manifest[] =
        "{\"name\":\"dice\",\"version\":\"0.1.0\",\"routes\":[{\"route\":100,\"name\":\"roll\"}],\"events\":[\"connect\"]}";
    return returned((uint32_t)manifest, sizeof manifest - 1, 0);
}

/* A decimal number of at most six digits; 0 if it is none. */
static uint32_t number(const char *text, uint32_t bytes) {
    uint32_t value = 0;
    if (bytes > 6) return 0;
    for (uint32_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    return value;
}

/* `handle` and `start` fail with a text. */
static uint32_t *error(const char *text, uint32_t bytes) { return returned(1, (uint32_t)text, bytes); }

EXPORT("lifecycle", "start") uint32_t *start(void) {
    config_get(TEXT("sides_max"), answer);
    if (!failed()) sides_max = number((const char *)answer[1], answer[2]);
    heap_used = 0;
    if (sides_max == 0) return error(TEXT("sides_max in [config] is no number from 1 to 999999"));
    return returned(0, 0, 0);
}

EXPORT("lifecycle", "stop") void stop(void) {}

EXPORT("handler", "handle")
uint32_t *handle(uint64_t conn, int64_t uid, int32_t route, int32_t seq, const char *body, uint32_t body_bytes) {
    static char reply[6];
    uint32_t sides = number(body, body_bytes);
    (void)uid, (void)route, (void)seq; /* there is one route, and the host sees to the seq of the reply */
    heap_used = 0;                     /* what lies there, the body too, stays until the next call */
    if (sides == 0 || sides > sides_max) {
        error_code(1000, answer);
        return error(TEXT("how many sides?"));
    }
    uint32_t rolled = 1 + random_number() % sides;
    if (rolled == sides) push(conn, HIGHEST, TEXT("you rolled the highest"), answer);
    uint32_t at = sizeof reply;
    for (; rolled > 0; rolled /= 10) reply[--at] = (char)('0' + rolled % 10);
    return returned(0, (uint32_t)&reply[at], sizeof reply - at);
}

EXPORT("event-handler", "handle-event")
void handle_event(uint32_t kind, uint64_t conn, int64_t uid, const char *detail, uint32_t detail_bytes) {
    enum { PREFIX = 12 };
    static char line[PREFIX + 64] = "a player at ";
    uint32_t shown = detail_bytes < 64 ? detail_bytes : 64; /* a remote address is shorter */
    (void)conn, (void)uid;
    heap_used = 0;
    if (kind != CONNECT) return;
    __builtin_memcpy(line + PREFIX, detail, shown);
    log_write(INFO, line, PREFIX + shown);
}
