/*
 * The bench's client: it holds streams of Server-Sent Events, publishes stamped events, and sees
 * that each stream gets each of its events once and in order.
 *
 * An event's data is "<sequence> <stamp> <padding>". The stamp is the moment at which the event was
 * due, in nanoseconds of the monotonic clock: it counts a publisher's wait too.
 *
 * One thread, one epoll, no allocation per event: the client must not be what is measured.
 *
 * Marks go to stderr as the run reaches them ("mark open"); the results to stdout, as JSON.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define NEVER INT64_MAX

/* What a server wrote in one go is mostly read in one go. */
#define BUFFER_BYTES (256 * 1024)

/* Between two looks at the publishers: a few ms of reading at most. */
#define READY_AT_ONCE 256

/* How often the end of a drain is looked for. */
#define DRAIN_POLL_NS (20 * NS_PER_SECOND / 1000)

/* The time for which events that must not arrive any more are waited for. */
#define LINGER_NS (NS_PER_SECOND / 5)

/* Of a streamed publish at most so many events are written at once: a write costs little beside
 * them, and another publisher does not wait for long. */
#define LINES_AT_ONCE 64

/* What is under way in a socket when the measured time ends is through soon. */
#define STREAMED_SOCKET_BYTES (64 * 1024)

/* A unix socket whose queue is full is tried again so much later. */
#define RETRY_NS (NS_PER_SECOND / 1000)

/* --- Errors and memory ------------------------------------------------------------------------ */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("client: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static int checked(int result, const char *call)
{
    if (result < 0)
        die("%s: %s", call, strerror(errno));
    return result;
}

static void *resized(void *memory, size_t count, size_t size)
{
    void *result = reallocarray(memory, count ? count : 1, size);
    if (result == NULL)
        die("out of memory");
    return result;
}

static void *zeroed(size_t count, size_t size)
{
    void *result = calloc(count ? count : 1, size);
    if (result == NULL)
        die("out of memory");
    return result;
}

/* --- Time ------------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;
    checked(clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime");
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int64_t ns(double seconds)
{
    return (int64_t)(seconds * 1e9);
}

static double seconds(int64_t time_ns)
{
    return (double)time_ns / 1e9;
}

static double own_cpu_seconds(void)
{
    struct timespec used;
    checked(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), "clock_gettime");
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* --- Turns: two clients that load two servers of one machine by turns -------------------------- */

/* A client with turns has every second stretch of the monotonic clock, the even ones or the odd
 * ones, and its own time, which stands still between them. What is due is due by its own time. */
struct turns {
    int64_t stretch_ns; /* 0: no turns, and its own time is the clock's. */
    bool are_odd;
};

static int64_t own_ns(const struct turns *turns, int64_t clock_ns)
{
    int64_t stretch_ns = turns->stretch_ns;
    if (stretch_ns == 0)
        return clock_ns;
    int64_t since_ns = clock_ns - (turns->are_odd ? stretch_ns : 0);
    int64_t part_ns = since_ns % (2 * stretch_ns);
    return since_ns / (2 * stretch_ns) * stretch_ns + (part_ns < stretch_ns ? part_ns : stretch_ns);
}

/* The first moment of the clock at which its own time is so late. */
static int64_t clock_ns(const struct turns *turns, int64_t own_ns)
{
    int64_t stretch_ns = turns->stretch_ns;
    if (stretch_ns == 0)
        return own_ns;
    return own_ns / stretch_ns * 2 * stretch_ns + own_ns % stretch_ns +
           (turns->are_odd ? stretch_ns : 0);
}

/* The own time at which a turn begins, this moment's or the next one's. */
static int64_t next_turn_own_ns(const struct turns *turns, int64_t clock_ns)
{
    int64_t own = own_ns(turns, clock_ns), stretch_ns = turns->stretch_ns;
    return stretch_ns == 0 ? own : (own + stretch_ns - 1) / stretch_ns * stretch_ns;
}

/* --- Histograms: 64 buckets for each power of two, so that a value is at most 1.6 % off ------- */

#define BUCKET_BITS 6
#define BUCKETS ((64 - BUCKET_BITS + 1) << BUCKET_BITS)

struct histogram {
    uint64_t count;
    int64_t most;
    uint32_t buckets[BUCKETS];
};

static unsigned bucket_of(uint64_t value)
{
    if (value >> BUCKET_BITS == 0)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - BUCKET_BITS;
    return ((shift + 1) << BUCKET_BITS) + (unsigned)(value >> shift) - (1u << BUCKET_BITS);
}

/* The largest value of a bucket. */
static int64_t value_of(unsigned bucket)
{
    if (bucket >> BUCKET_BITS == 0)
        return bucket;
    unsigned shift = (bucket >> BUCKET_BITS) - 1;
    uint64_t mantissa = (bucket & ((1u << BUCKET_BITS) - 1)) + (1u << BUCKET_BITS);
    return (int64_t)(((mantissa + 1) << shift) - 1);
}

static void record(struct histogram *histogram, int64_t value)
{
    if (value < 0)
        value = 0;
    histogram->count++;
    histogram->buckets[bucket_of((uint64_t)value)]++;
    if (value > histogram->most)
        histogram->most = value;
}

static int64_t quantile(const struct histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)(share * (double)histogram->count), below = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        below += histogram->buckets[bucket];
        if (below > rank)
            return value_of(bucket) < histogram->most ? value_of(bucket) : histogram->most;
    }
    return histogram->most;
}

/* --- Sets of sequence numbers ----------------------------------------------------------------- */

struct set {
    uint64_t *words;
    size_t count;
};

static bool has(const struct set *set, uint64_t number)
{
    return number / 64 < set->count && set->words[number / 64] >> number % 64 & 1;
}

static void add(struct set *set, uint64_t number)
{
    size_t word = number / 64;
    if (word >= set->count) {
        size_t count = word < 16 ? 16 : 2 * word;
        set->words = resized(set->words, count, sizeof *set->words);
        memset(set->words + set->count, 0, (count - set->count) * sizeof *set->words);
        set->count = count;
    }
    set->words[word] |= UINT64_C(1) << number % 64;
}

/* --- Text: bytes somewhere, and lines that may come in pieces --------------------------------- */

struct span {
    const char *at;
    size_t bytes;
};

/* All that is read of a line stands at its begin: a header that matters, or a sequence and a stamp,
 * with the members of JSON that may stand before them. */
#define LINE_BYTES 128

/* The begin of a line that has not ended yet. */
struct line {
    bool begun;
    unsigned char bytes;
    char text[LINE_BYTES];
};

static void keep(struct line *line, struct span piece)
{
    size_t room = LINE_BYTES - line->bytes;
    size_t bytes = piece.bytes < room ? piece.bytes : room;
    memcpy(line->text + line->bytes, piece.at, bytes);
    line->bytes += (unsigned char)bytes;
    line->begun = true;
}

/* Takes the next line from the text, without its end: all of it, or its begin where it came in
 * pieces. False where it has not ended yet. */
static bool next_line(struct line *kept, struct span *text, struct span *line)
{
    const char *end = memchr(text->at, '\n', text->bytes);
    struct span piece = {text->at, end ? (size_t)(end - text->at) : text->bytes};
    size_t taken = piece.bytes + (end != NULL);
    text->at += taken;
    text->bytes -= taken;
    if (end == NULL || kept->begun)
        keep(kept, piece);
    if (end == NULL)
        return false;
    *line = kept->begun ? (struct span){kept->text, kept->bytes} : piece;
    kept->begun = false;
    kept->bytes = 0;
    if (line->bytes && line->at[line->bytes - 1] == '\r')
        line->bytes--;
    return true;
}

static void skip(struct span *text, size_t bytes)
{
    text->at += bytes;
    text->bytes -= bytes;
}

static bool skip_word(struct span *text, const char *word)
{
    size_t bytes = strlen(word);
    if (text->bytes < bytes || strncasecmp(text->at, word, bytes) != 0)
        return false;
    skip(text, bytes);
    return true;
}

static void skip_spaces(struct span *text)
{
    while (text->bytes && *text->at == ' ')
        skip(text, 1);
}

/* A server may send what was published as a string of JSON: {"channel":"c","pub":{"data":"...". */
static void skip_json(struct span *text)
{
    static const char member[] = "\"data\":\"";
    const size_t bytes = sizeof member - 1;
    if (text->bytes == 0 || *text->at != '{')
        return;
    const char *found = memmem(text->at, text->bytes, member, bytes);
    if (found != NULL)
        skip(text, (size_t)(found - text->at) + bytes);
}

static bool read_number(struct span *text, uint64_t *number)
{
    const char *begin = text->at;
    *number = 0;
    for (; text->bytes && *text->at >= '0' && *text->at <= '9'; skip(text, 1))
        *number = *number * 10 + (uint64_t)(*text->at - '0');
    return text->at != begin;
}

/* --- Responses of HTTP/1.1 -------------------------------------------------------------------- */

struct response {
    enum {
        IN_STATUS_LINE,
        IN_HEAD,
        IN_CHUNK_SIZE,
        IN_CHUNK,
        AFTER_CHUNK,
        IN_TRAILERS,
        IN_SIZED_BODY,
        IN_ENDLESS_BODY,
        WHOLE,
        MALFORMED
    } at;
    int status;
    bool is_chunked, is_sized, is_last;
    uint64_t left_bytes;
    struct line line;
};

static bool has_head(const struct response *response)
{
    return response->at > IN_HEAD && response->at != MALFORMED;
}

static void read_status_line(struct response *response, struct span line)
{
    uint64_t status = 0;
    if (!skip_word(&line, "HTTP/1.1 ") || !read_number(&line, &status)) {
        response->at = MALFORMED;
        return;
    }
    response->status = (int)status;
    response->at = IN_HEAD;
}

static void read_header(struct response *response, struct span line)
{
    if (skip_word(&line, "content-length:")) {
        skip_spaces(&line);
        response->is_sized = read_number(&line, &response->left_bytes);
    } else if (skip_word(&line, "transfer-encoding:")) {
        skip_spaces(&line);
        response->is_chunked = skip_word(&line, "chunked");
    } else if (skip_word(&line, "connection:")) {
        skip_spaces(&line);
        response->is_last = skip_word(&line, "close");
    }
}

static void end_head(struct response *response)
{
    if (response->is_chunked)
        response->at = IN_CHUNK_SIZE;
    else if (response->status == 204)
        response->at = WHOLE;
    else if (response->is_sized)
        response->at = response->left_bytes ? IN_SIZED_BODY : WHOLE;
    else
        response->at = IN_ENDLESS_BODY;
}

static void begin_chunk(struct response *response, struct span line)
{
    char digits[17] = "";
    char *end;
    memcpy(digits, line.at, line.bytes < 16 ? line.bytes : 16);
    response->left_bytes = strtoull(digits, &end, 16);
    if (end == digits)
        response->at = MALFORMED;
    else
        response->at = response->left_bytes ? IN_CHUNK : IN_TRAILERS;
}

static void read_framing(struct response *response, struct span line)
{
    switch (response->at) {
    case IN_STATUS_LINE:
        read_status_line(response, line);
        break;
    case IN_HEAD:
        if (line.bytes)
            read_header(response, line);
        else
            end_head(response);
        break;
    case IN_CHUNK_SIZE:
        begin_chunk(response, line);
        break;
    case AFTER_CHUNK:
        response->at = line.bytes ? MALFORMED : IN_CHUNK_SIZE;
        break;
    default:
        if (line.bytes == 0)
            response->at = WHOLE;
    }
}

static struct span take_body(struct response *response, struct span *text)
{
    struct span piece = *text;
    if (response->at != IN_ENDLESS_BODY) {
        if (piece.bytes > response->left_bytes)
            piece.bytes = response->left_bytes;
        response->left_bytes -= piece.bytes;
        if (response->left_bytes == 0)
            response->at = response->at == IN_CHUNK ? AFTER_CHUNK : WHOLE;
    }
    skip(text, piece.bytes);
    return piece;
}

/* Takes the next piece of the body from the text; an empty one where it holds no more of it. */
static struct span next_body(struct response *response, struct span *text)
{
    struct span line;
    while (text->bytes) {
        switch (response->at) {
        case IN_CHUNK:
        case IN_SIZED_BODY:
        case IN_ENDLESS_BODY:
            return take_body(response, text);
        case WHOLE:
        case MALFORMED:
            skip(text, text->bytes);
            break;
        default:
            if (next_line(&response->line, text, &line))
                read_framing(response, line);
        }
    }
    return *text;
}

/* --- Options ---------------------------------------------------------------------------------- */

struct options {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    unsigned sources;
    const char *targets_file;
    unsigned streams;
    double ramp_seconds, open_seconds, settle_seconds;
    const char *request_file;
    unsigned publishers;
    double events_per_second;
    bool together, streamed;
    unsigned topics;
    double warm_up_seconds, measure_seconds, drain_seconds;
    struct turns turns;
};

static const char USAGE[] =
    "usage: client (--tcp ADDRESS:PORT | --unix PATH) [OPTION...]\n"
    "  --sources N         streams come from so many addresses, 127.0.0.2 and on\n"
    "  --streams N         how many are opened\n"
    "  --targets FILE      a line each: TARGET, or with the topics TARGET<tab>FIRST<tab>COUNT;\n"
    "                      stream i asks for line i modulo their number\n"
    "  --ramp S            over which they are opened\n"
    "  --open-timeout S    after which those that are not open have failed\n"
    "  --settle S          from then to the first publish\n"
    "  --publishers N      connections that publish\n"
    "  --rate R            events a second of them all; 0: each as soon as it is answered\n"
    "  --together          all at the same moment; else evenly spread\n"
    "  --request FILE      a publish, with SEQUENCE__, SEND_TIME_IN_NS____ and perhaps TOPIC__\n"
    "  --streamed          each publisher writes its events into the body of one request, which goes\n"
    "                      on; the request's body is the line of an event. At rate 0 each writes as\n"
    "                      much as the server reads\n"
    "  --topics N          how many of them there are\n"
    "  --warm-up S  --measure S  --drain S\n"
    "  --turn S            streams are opened and events sent in every second stretch of S seconds\n"
    "                      alone: for another client, with --odd, that has the others\n"
    "  --odd               the odd ones of the monotonic clock; else the even ones\n";

static void parse_tcp(struct options *options, const char *text)
{
    struct sockaddr_in *address = (struct sockaddr_in *)&options->address;
    char host[INET_ADDRSTRLEN] = "";
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        die("--tcp: expected ADDRESS:PORT, got %s", text);
    memcpy(host, text, (size_t)(colon - text));
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &address->sin_addr) != 1)
        die("--tcp: not an address of IPv4: %s", host);
    options->address_bytes = sizeof *address;
}

static void parse_unix(struct options *options, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&options->address;
    if (strlen(path) >= sizeof address->sun_path)
        die("--unix: too long: %s", path);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    options->address_bytes = sizeof *address;
}

static double number(const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0))
        die("--%s: expected a number, got %s", option, text);
    return value;
}

static unsigned whole(const char *option, const char *text)
{
    return (unsigned)number(option, text);
}

__attribute__((noreturn)) static void refuse_options(void)
{
    fputs(USAGE, stderr);
    exit(2);
}

static struct options parse_options(int count, char **arguments)
{
    static const struct option known[] = {
        {"tcp", required_argument, NULL, 't'},
        {"unix", required_argument, NULL, 'u'},
        {"sources", required_argument, NULL, 's'},
        {"streams", required_argument, NULL, 'n'},
        {"targets", required_argument, NULL, 'g'},
        {"ramp", required_argument, NULL, 'a'},
        {"open-timeout", required_argument, NULL, 'o'},
        {"settle", required_argument, NULL, 'e'},
        {"publishers", required_argument, NULL, 'p'},
        {"rate", required_argument, NULL, 'r'},
        {"together", no_argument, NULL, 'T'},
        {"request", required_argument, NULL, 'q'},
        {"streamed", no_argument, NULL, 'S'},
        {"topics", required_argument, NULL, 'c'},
        {"warm-up", required_argument, NULL, 'w'},
        {"measure", required_argument, NULL, 'm'},
        {"drain", required_argument, NULL, 'd'},
        {"turn", required_argument, NULL, 'i'},
        {"odd", no_argument, NULL, 'O'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {
        .sources = 1, .topics = 1, .open_seconds = 30, .settle_seconds = 0.5, .drain_seconds = 5};
    int option, nth = 0;
    while ((option = getopt_long(count, arguments, "", known, &nth)) != -1) {
        const char *name = known[nth].name;
        switch (option) {
        case 't': parse_tcp(&options, optarg); break;
        case 'u': parse_unix(&options, optarg); break;
        case 's': options.sources = whole(name, optarg); break;
        case 'n': options.streams = whole(name, optarg); break;
        case 'g': options.targets_file = optarg; break;
        case 'a': options.ramp_seconds = number(name, optarg); break;
        case 'o': options.open_seconds = number(name, optarg); break;
        case 'e': options.settle_seconds = number(name, optarg); break;
        case 'p': options.publishers = whole(name, optarg); break;
        case 'r': options.events_per_second = number(name, optarg); break;
        case 'T': options.together = true; break;
        case 'S': options.streamed = true; break;
        case 'q': options.request_file = optarg; break;
        case 'c': options.topics = whole(name, optarg); break;
        case 'w': options.warm_up_seconds = number(name, optarg); break;
        case 'm': options.measure_seconds = number(name, optarg); break;
        case 'd': options.drain_seconds = number(name, optarg); break;
        case 'i': options.turns.stretch_ns = ns(number(name, optarg)); break;
        case 'O': options.turns.are_odd = true; break;
        default: refuse_options();
        }
    }
    if (options.address_bytes == 0 || options.sources == 0 || options.topics == 0)
        refuse_options();
    if ((options.streams && !options.targets_file) || (options.publishers && !options.request_file))
        refuse_options();
    return options;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        die("%s: %s", path, strerror(errno));
    char *text = NULL;
    size_t room = 0;
    if (getdelim(&text, &room, '\0', file) < 0)
        die("%s is empty", path);
    fclose(file);
    return text;
}

/* --- Targets: what streams ask for, and which topics they get by it --------------------------- */

struct target {
    char *request;
    size_t request_bytes;
    uint64_t first_topic, topics;
};

struct targets {
    struct target *all;
    size_t count;
};

static struct target parse_target(char *line, unsigned topics)
{
    struct target target = {.topics = topics};
    char *tab = strchr(line, '\t');
    if (tab != NULL) {
        *tab = '\0';
        if (sscanf(tab + 1, "%" SCNu64 "\t%" SCNu64, &target.first_topic, &target.topics) != 2)
            die("--targets: expected TARGET<tab>FIRST<tab>COUNT, with %s", line);
        if (target.first_topic + target.topics > topics)
            die("--targets: more topics than there are, with %s", line);
    }
    static const char request[] =
        "GET %s HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n";
    int bytes = asprintf(&target.request, request, line);
    target.request_bytes = (size_t)checked(bytes, "asprintf");
    return target;
}

static struct targets read_targets(const struct options *options)
{
    struct targets targets = {0};
    if (options->targets_file == NULL)
        return targets;
    char *text = read_file(options->targets_file), *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (*line == '\0')
            continue;
        targets.all = resized(targets.all, targets.count + 1, sizeof *targets.all);
        targets.all[targets.count++] = parse_target(line, options->topics);
    }
    free(text);
    if (targets.count == 0)
        die("%s names no target", options->targets_file);
    return targets;
}

/* --- The request that publishes --------------------------------------------------------------- */

struct request {
    char *text;
    size_t bytes;
    char *sequence, *stamp, *topic;
    char *body;
};

static const char SEQUENCE[] = "SEQUENCE__";
static const char STAMP[] = "SEND_TIME_IN_NS____";
static const char TOPIC[] = "TOPIC__";

static struct request read_request(const char *path)
{
    struct request request = {0};
    if (path == NULL)
        return request;
    request.text = read_file(path);
    request.bytes = strlen(request.text);
    request.sequence = strstr(request.text, SEQUENCE);
    request.stamp = strstr(request.text, STAMP);
    request.topic = strstr(request.text, TOPIC);
    request.body = strstr(request.text, "\r\n\r\n");
    if (request.sequence == NULL || request.stamp == NULL || request.body == NULL)
        die("%s: %s, %s or the body is missing", path, SEQUENCE, STAMP);
    request.body += 4;
    return request;
}

/* Writes a number over a placeholder, as wide as that. */
static void fill(char *at, const char *placeholder, uint64_t number)
{
    for (size_t digit = strlen(placeholder); digit-- > 0; number /= 10)
        at[digit] = (char)('0' + number % 10);
}

/* --- Events: all that were published, by sequence number -------------------------------------- */

/* Neighbours in sequence are far apart in topic; a prime, so that all topics have their turn. */
#define TOPIC_STRIDE 7919

struct event {
    int64_t stamp_ns;
    uint64_t settled_before; /* Each event below this one had its answer when this one was sent. */
    unsigned publisher;
    bool answered, accepted, seen;
};

struct ledger {
    struct event *events;
    uint64_t count, room;
    uint64_t settled; /* Each event below has its answer. */
    unsigned topics;
};

static uint64_t topic_of(const struct ledger *ledger, uint64_t sequence)
{
    return sequence * TOPIC_STRIDE % ledger->topics;
}

static uint64_t enter(struct ledger *ledger, int64_t stamp_ns, unsigned publisher)
{
    if (ledger->count == ledger->room) {
        ledger->room = ledger->room ? 2 * ledger->room : 1024;
        ledger->events = resized(ledger->events, ledger->room, sizeof *ledger->events);
    }
    ledger->events[ledger->count] =
        (struct event){stamp_ns, ledger->settled, publisher, false, false, false};
    return ledger->count++;
}

static void settle(struct ledger *ledger, uint64_t sequence, bool accepted)
{
    ledger->events[sequence].answered = true;
    ledger->events[sequence].accepted = accepted;
    while (ledger->settled < ledger->count && ledger->events[ledger->settled].answered)
        ledger->settled++;
}

/* An accepted event is owed to all streams that want it; so is one that any of them has. */
static bool is_owed(const struct event *event)
{
    return event->accepted || event->seen;
}

/* --- Connections ------------------------------------------------------------------------------ */

struct connection {
    enum { STREAM, PUBLISHER } kind;
    enum { UNOPENED, CONNECTING, CONNECTED, CLOSED } state;
    int fd;
    int64_t began_ns;
    struct response response;
};

struct stream {
    struct connection connection;
    const struct target *target;
    bool opened;
    struct line line;
    struct set seen;
    uint64_t settled_before; /* What comes from now on has to be from here on. */
    uint64_t *newest;        /* Of each streamed publish, as its events keep their order. */
};

struct publisher {
    struct connection connection;
    bool waiting;
    uint64_t sequence; /* What it waits for an answer to. */
    uint64_t slot;     /* Its next one, of all its own. */

    /* Of a streamed publish. */
    bool has_ended, is_full; /* Its socket is full. */
    char *unsent;            /* In its buffer. */
    size_t unsent_bytes;
    char *buffer;
    char answer[256];
    size_t answer_bytes;
};

/* --- The run ---------------------------------------------------------------------------------- */

enum phase { OPENING, SETTLING, WARMING_UP, MEASURING, DRAINING, LINGERING, OVER };

/* The mark at the begin of each phase, for the program that watches the client. */
static const char *const MARKS[] = {
    [OPENING] = "opening", [SETTLING] = "open", [WARMING_UP] = "publishing", [MEASURING] = "start",
    [DRAINING] = "end", [LINGERING] = "drained", [OVER] = "over",
};

/* What has happened so far. */
struct tally {
    int64_t at_ns;
    double cpu_seconds;
    uint64_t delivered, bytes, accepted;
};

struct run {
    struct options options;
    struct targets targets;
    struct request request;
    struct ledger ledger;

    struct stream *streams;
    unsigned begun, opened, failed, ended; /* How many of them. */
    char first_failure[120];
    struct publisher *publishers;
    uint64_t refused, unanswered;

    enum phase phase;
    int64_t phase_ends_ns;
    int64_t opening_own_ns, publishing_own_ns;
    uint64_t first_measured;

    uint64_t twice, out_of_order, foreign;
    struct tally tally, at_start, at_end;
    struct histogram connects, deliveries, answers;

    int epoll;
    char *buffer;
};

static size_t line_bytes(const struct request *request)
{
    return request->bytes - (size_t)(request->body - request->text) + 1;
}

/* A buffer has the head of the request, or a chunk. */
static size_t streamed_buffer_bytes(const struct request *request)
{
    return request->bytes + LINES_AT_ONCE * line_bytes(request) + 32;
}

static void prepare_streamed(struct run *run)
{
    for (unsigned nth = 0; nth < run->options.publishers; nth++)
        run->publishers[nth].buffer = zeroed(1, streamed_buffer_bytes(&run->request));
    for (unsigned nth = 0; nth < run->options.streams; nth++)
        run->streams[nth].newest = zeroed(run->options.publishers, sizeof(uint64_t));
}

static struct run *new_run(struct options options)
{
    struct run *run = zeroed(1, sizeof *run);
    run->options = options;
    run->targets = read_targets(&options);
    run->request = read_request(options.request_file);
    run->ledger.topics = options.topics;
    run->streams = zeroed(options.streams, sizeof *run->streams);
    run->publishers = zeroed(options.publishers, sizeof *run->publishers);
    for (unsigned nth = 0; nth < options.streams; nth++)
        run->streams[nth].target = &run->targets.all[nth % run->targets.count];
    for (unsigned nth = 0; nth < options.publishers; nth++)
        run->publishers[nth].connection.kind = PUBLISHER;
    if (options.streamed)
        prepare_streamed(run);
    run->epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    run->buffer = zeroed(1, BUFFER_BYTES);
    return run;
}

/* --- Connecting ------------------------------------------------------------------------------- */

/* One address has some 28,000 ports, and servers may limit the streams of one. */
static void bind_source(int fd, unsigned nth, unsigned sources)
{
    struct sockaddr_in source = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + nth % sources)};
    int on = 1;
    checked(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "setsockopt");
    checked(bind(fd, (struct sockaddr *)&source, sizeof source), "bind");
}

static void watch(struct run *run, struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    checked(epoll_ctl(run->epoll, operation, connection->fd, &event), "epoll_ctl");
}

/* False where a unix socket's queue is full. */
static bool begin_connecting(struct run *run, struct connection *connection, unsigned nth)
{
    const struct options *options = &run->options;
    int family = options->address.ss_family;
    int fd = checked(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    if (family == AF_INET) {
        int on = 1;
        checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
        if (connection->kind == STREAM)
            bind_source(fd, nth, options->sources);
        int bytes = STREAMED_SOCKET_BYTES;
        if (connection->kind == PUBLISHER && options->streamed)
            checked(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), "setsockopt");
    }
    if (connect(fd, (const struct sockaddr *)&options->address, options->address_bytes) < 0 &&
        errno != EINPROGRESS) {
        if (errno != EAGAIN)
            die("connect: %s", strerror(errno));
        close(fd);
        return false;
    }
    connection->fd = fd;
    connection->state = CONNECTING;
    connection->began_ns = now_ns();
    connection->response = (struct response){0};
    watch(run, connection, EPOLL_CTL_ADD, EPOLLOUT);
    return true;
}

static void disconnect(struct connection *connection)
{
    close(connection->fd);
    connection->state = CLOSED;
}

/* What is sent is small, and goes into an empty buffer. */
static bool send_all(struct connection *connection, const char *text, size_t bytes)
{
    return send(connection->fd, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t bytes = sizeof error;
    checked(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes), "getsockopt");
    return error;
}

/* --- Streams ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void
end_stream(struct run *run, struct stream *stream, const char *format, ...)
{
    disconnect(&stream->connection);
    *(stream->opened ? &run->ended : &run->failed) += 1;
    if (run->first_failure[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(run->first_failure, sizeof run->first_failure, format, arguments);
        va_end(arguments);
    }
}

static void ask_for_stream(struct run *run, struct stream *stream)
{
    struct connection *connection = &stream->connection;
    int error = socket_error(connection->fd);
    if (error) {
        end_stream(run, stream, "connect: %s", strerror(error));
    } else if (!send_all(connection, stream->target->request, stream->target->request_bytes)) {
        end_stream(run, stream, "request: %s", strerror(errno));
    } else {
        connection->state = CONNECTED;
        watch(run, connection, EPOLL_CTL_MOD, EPOLLIN);
    }
}

static bool wants(const struct stream *stream, uint64_t topic)
{
    return topic - stream->target->first_topic < stream->target->topics;
}

/* Of two that were under way at once either may come first; an event that had its answer before
 * another was sent must not come behind that one, nor one that stands before it in a body. */
static bool is_late(struct stream *stream, const struct event *event, uint64_t sequence)
{
    if (stream->newest != NULL) {
        uint64_t *newest = &stream->newest[event->publisher];
        if (sequence < *newest)
            return true;
        *newest = sequence;
        return false;
    }
    bool is_late = sequence < stream->settled_before;
    if (stream->settled_before < event->settled_before)
        stream->settled_before = event->settled_before;
    return is_late;
}

static void deliver(struct run *run, struct stream *stream, uint64_t sequence, uint64_t stamp_ns,
                    int64_t read_ns)
{
    struct ledger *ledger = &run->ledger;
    struct event *event = sequence < ledger->count ? &ledger->events[sequence] : NULL;
    if (event == NULL || (uint64_t)event->stamp_ns != stamp_ns ||
        !wants(stream, topic_of(ledger, sequence))) {
        run->foreign++;
        return;
    }
    if (has(&stream->seen, sequence)) {
        run->twice++;
        return;
    }
    add(&stream->seen, sequence);
    if (is_late(stream, event, sequence))
        run->out_of_order++;
    event->seen = true;
    run->tally.delivered++;
    if (run->phase >= MEASURING && sequence >= run->first_measured)
        record(&run->deliveries, read_ns - event->stamp_ns);
}

static void read_events(struct run *run, struct stream *stream, struct span body, int64_t read_ns)
{
    struct span line;
    uint64_t sequence, stamp_ns;
    while (body.bytes && next_line(&stream->line, &body, &line)) {
        if (!skip_word(&line, "data:"))
            continue;
        skip_spaces(&line);
        skip_json(&line);
        /* A server may say something of its own. */
        if (!read_number(&line, &sequence) || !skip_word(&line, " ") ||
            !read_number(&line, &stamp_ns))
            continue;
        deliver(run, stream, sequence, stamp_ns, read_ns);
    }
}

static void greet(struct run *run, struct stream *stream, int64_t read_ns)
{
    stream->opened = true;
    run->opened++;
    record(&run->connects, read_ns - stream->connection.began_ns);
}

static void read_stream(struct run *run, struct stream *stream)
{
    struct response *response = &stream->connection.response;
    ssize_t bytes = read(stream->connection.fd, run->buffer, BUFFER_BYTES);
    int64_t read_ns = now_ns();
    if (bytes < 0 && errno == EAGAIN)
        return;
    if (bytes <= 0) {
        end_stream(run, stream, "%s", bytes < 0 ? strerror(errno) : "the server closed");
        return;
    }
    run->tally.bytes += (uint64_t)bytes;
    struct span text = {run->buffer, (size_t)bytes};
    while (text.bytes) {
        struct span body = next_body(response, &text);
        if (!stream->opened && has_head(response) && response->status == 200)
            greet(run, stream, read_ns);
        if (stream->opened)
            read_events(run, stream, body, read_ns);
    }
    if (response->at == MALFORMED)
        end_stream(run, stream, "not HTTP/1.1");
    else if (has_head(response) && response->status != 200)
        end_stream(run, stream, "status %d", response->status);
    else if (response->at == WHOLE)
        end_stream(run, stream, "the response ended");
}

/* --- Publishers ------------------------------------------------------------------------------- */

static bool is_publishing(const struct run *run)
{
    return run->phase == WARMING_UP || run->phase == MEASURING;
}

static unsigned number_of(const struct run *run, const struct publisher *publisher)
{
    return (unsigned)(publisher - run->publishers);
}

static int64_t due_ns(const struct run *run, const struct publisher *publisher, int64_t at_ns)
{
    const struct options *options = &run->options;
    if (options->events_per_second == 0)
        return clock_ns(&options->turns, own_ns(&options->turns, at_ns));
    uint64_t nth = options->together ? 0 : number_of(run, publisher);
    double slot = (double)(publisher->slot * options->publishers + nth);
    return clock_ns(&options->turns,
                    run->publishing_own_ns + ns(slot / options->events_per_second));
}

static void settle_publish(struct run *run, struct publisher *publisher, bool accepted)
{
    publisher->waiting = false;
    settle(&run->ledger, publisher->sequence, accepted);
}

/* Settles what a streamed publish has sent: the first so many are accepted. Returns how many are
 * not. */
static uint64_t settle_streamed(struct run *run, struct publisher *publisher, uint64_t accepted)
{
    struct ledger *ledger = &run->ledger;
    uint64_t nth = 0;
    for (uint64_t sequence = 0; sequence < ledger->count; sequence++)
        if (ledger->events[sequence].publisher == number_of(run, publisher))
            settle(ledger, sequence, nth++ < accepted);
    publisher->waiting = false;
    publisher->has_ended = true;
    publisher->unsent_bytes = 0;
    return nth > accepted ? nth - accepted : 0;
}

/* It connects again when it is next looked at, unless it streams. */
static void hang_up(struct run *run, struct publisher *publisher)
{
    disconnect(&publisher->connection);
    if (publisher->waiting && run->options.streamed) {
        run->unanswered += settle_streamed(run, publisher, 0);
    } else if (publisher->waiting) {
        run->unanswered++;
        settle_publish(run, publisher, false);
    }
}

static void publish(struct run *run, struct publisher *publisher, int64_t stamp_ns)
{
    struct request *request = &run->request;
    publisher->sequence = enter(&run->ledger, stamp_ns, number_of(run, publisher));
    publisher->waiting = true;
    publisher->slot++;
    fill(request->sequence, SEQUENCE, publisher->sequence);
    fill(request->stamp, STAMP, (uint64_t)stamp_ns);
    if (request->topic != NULL)
        fill(request->topic, TOPIC, topic_of(&run->ledger, publisher->sequence));
    publisher->connection.response = (struct response){0};
    if (!send_all(&publisher->connection, request->text, request->bytes))
        hang_up(run, publisher);
}

/* Sends what the socket takes of its buffer. */
static void send_unsent(struct run *run, struct publisher *publisher)
{
    ssize_t sent = send(publisher->connection.fd, publisher->unsent, publisher->unsent_bytes,
                        MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        /* The server has closed, and perhaps said why. */
        publisher->unsent_bytes = 0;
        publisher->has_ended = true;
    } else if (sent > 0) {
        publisher->unsent += sent;
        publisher->unsent_bytes -= (size_t)sent;
    }
    bool is_full = publisher->unsent_bytes > 0;
    if (is_full != publisher->is_full)
        watch(run, &publisher->connection, EPOLL_CTL_MOD, is_full ? EPOLLIN | EPOLLOUT : EPOLLIN);
    publisher->is_full = is_full;
}

static void send_buffer(struct run *run, struct publisher *publisher, size_t bytes)
{
    publisher->unsent = publisher->buffer;
    publisher->unsent_bytes = bytes;
    send_unsent(run, publisher);
}

/* Writes a chunk of what is due, and before the first one the head. */
static void stream_chunk(struct run *run, struct publisher *publisher, int64_t at_ns)
{
    static const char size_form[] = "%08zx\r\n";
    const size_t size_bytes = 10;
    struct request *request = &run->request;
    size_t bytes = line_bytes(request), head_bytes = 0;
    if (!publisher->waiting) {
        head_bytes = (size_t)(request->body - request->text);
        memcpy(publisher->buffer, request->text, head_bytes);
        publisher->waiting = true;
        publisher->connection.response = (struct response){0};
    }
    char *lines = publisher->buffer + head_bytes + size_bytes, *at = lines;
    for (unsigned nth = 0; nth < LINES_AT_ONCE; nth++) {
        int64_t due = due_ns(run, publisher, at_ns);
        if (due > at_ns)
            break;
        uint64_t sequence = enter(&run->ledger, due, number_of(run, publisher));
        publisher->slot++;
        fill(request->sequence, SEQUENCE, sequence);
        fill(request->stamp, STAMP, (uint64_t)due);
        memcpy(at, request->body, bytes - 1);
        at[bytes - 1] = '\n';
        at += bytes;
    }
    char size[32];
    snprintf(size, sizeof size, size_form, (size_t)(at - lines));
    memcpy(lines - size_bytes, size, size_bytes);
    memcpy(at, "\r\n", 2);
    send_buffer(run, publisher, (size_t)(at + 2 - publisher->buffer));
}

/* Goes on with a streamed publish where it is time for it, and returns when it next is. */
static int64_t stream_if_due(struct run *run, struct publisher *publisher, int64_t at_ns)
{
    static const char end[] = "0\r\n\r\n";
    if (publisher->unsent_bytes || publisher->has_ended)
        return NEVER;
    if (run->phase >= DRAINING) {
        publisher->has_ended = true;
        if (publisher->waiting) {
            memcpy(publisher->buffer, end, sizeof end - 1);
            send_buffer(run, publisher, sizeof end - 1);
        }
        return NEVER;
    }
    if (!is_publishing(run))
        return NEVER;
    int64_t due = due_ns(run, publisher, at_ns);
    if (due > at_ns)
        return due;
    stream_chunk(run, publisher, at_ns);
    return publisher->unsent_bytes ? NEVER : due_ns(run, publisher, at_ns);
}

/* Connects or publishes where it is time for it, and returns when it next is. */
static int64_t publish_if_due(struct run *run, struct publisher *publisher, int64_t at_ns)
{
    int state = publisher->connection.state;
    bool may_connect = state == UNOPENED || (state == CLOSED && !run->options.streamed);
    if (run->phase >= SETTLING && run->phase < DRAINING && may_connect)
        return begin_connecting(run, &publisher->connection, 0) ? NEVER : at_ns + RETRY_NS;
    if (state == CONNECTED && run->options.streamed)
        return stream_if_due(run, publisher, at_ns);
    if (state != CONNECTED || publisher->waiting || !is_publishing(run))
        return NEVER;
    int64_t due = due_ns(run, publisher, at_ns);
    if (due > at_ns)
        return due;
    publish(run, publisher, due);
    return NEVER;
}

static void take_answer(struct run *run, struct publisher *publisher, int64_t read_ns)
{
    const struct response *response = &publisher->connection.response;
    bool accepted = response->status / 100 == 2;
    *(accepted ? &run->tally.accepted : &run->refused) += 1;
    if (publisher->sequence >= run->first_measured && run->phase >= MEASURING)
        record(&run->answers, read_ns - run->ledger.events[publisher->sequence].stamp_ns);
    settle_publish(run, publisher, accepted);
    if (response->is_last)
        hang_up(run, publisher);
    else
        publish_if_due(run, publisher, read_ns);
}

/* The answer to a streamed publish says how many of its events are accepted, the first ones. */
static void take_streamed_answer(struct run *run, struct publisher *publisher)
{
    static const char member[] = "\"accepted\":";
    const struct response *response = &publisher->connection.response;
    uint64_t accepted = 0;
    const char *found = strstr(publisher->answer, member);
    if (found != NULL) {
        struct span text = {found + sizeof member - 1, strlen(found) - (sizeof member - 1)};
        skip_spaces(&text);
        read_number(&text, &accepted);
    }
    uint64_t refused = settle_streamed(run, publisher, accepted);
    if ((refused || response->status != 200) && run->first_failure[0] == '\0')
        snprintf(run->first_failure, sizeof run->first_failure,
                 "a streamed publish was answered with %d, %" PRIu64 " accepted", response->status,
                 accepted);
    run->tally.accepted += accepted;
    run->refused += refused;
    disconnect(&publisher->connection);
}

static void keep_answer(struct publisher *publisher, struct span body)
{
    size_t room = sizeof publisher->answer - 1 - publisher->answer_bytes;
    size_t bytes = body.bytes < room ? body.bytes : room;
    memcpy(publisher->answer + publisher->answer_bytes, body.at, bytes);
    publisher->answer_bytes += bytes;
}

static void read_answer(struct run *run, struct publisher *publisher)
{
    struct response *response = &publisher->connection.response;
    ssize_t bytes = read(publisher->connection.fd, run->buffer, BUFFER_BYTES);
    if (bytes < 0 && errno == EAGAIN)
        return;
    if (bytes <= 0) {
        hang_up(run, publisher);
        return;
    }
    struct span text = {run->buffer, (size_t)bytes};
    while (text.bytes) {
        struct span body = next_body(response, &text);
        if (run->options.streamed)
            keep_answer(publisher, body);
    }
    if (response->at == MALFORMED)
        die("the answer to a publish is not HTTP/1.1");
    if (response->at != WHOLE || !publisher->waiting)
        return;
    if (run->options.streamed)
        take_streamed_answer(run, publisher);
    else
        take_answer(run, publisher, now_ns());
}

static void meet_publisher(struct run *run, struct publisher *publisher)
{
    int error = socket_error(publisher->connection.fd);
    if (error)
        die("a publisher's connect: %s", strerror(error));
    publisher->connection.state = CONNECTED;
    watch(run, &publisher->connection, EPOLL_CTL_MOD, EPOLLIN);
}

/* --- Accounts --------------------------------------------------------------------------------- */

static struct tally tally_now(const struct run *run, int64_t at_ns)
{
    struct tally tally = run->tally;
    tally.at_ns = at_ns;
    tally.cpu_seconds = own_cpu_seconds();
    return tally;
}

/* How many streams want each topic. */
static uint64_t *audiences(const struct run *run)
{
    uint64_t *audiences = zeroed(run->ledger.topics, sizeof *audiences);
    for (unsigned nth = 0; nth < run->options.streams; nth++) {
        const struct stream *stream = &run->streams[nth];
        const struct target *target = stream->target;
        for (uint64_t topic = 0; stream->opened && topic < target->topics; topic++)
            audiences[target->first_topic + topic]++;
    }
    return audiences;
}

static uint64_t owed_deliveries(const struct run *run)
{
    uint64_t *audience = audiences(run), owed = 0;
    for (uint64_t sequence = 0; sequence < run->ledger.count; sequence++)
        if (is_owed(&run->ledger.events[sequence]))
            owed += audience[topic_of(&run->ledger, sequence)];
    free(audience);
    return owed;
}

/* --- Phases ----------------------------------------------------------------------------------- */

static void enter_phase(struct run *run, enum phase phase, int64_t at_ns)
{
    const struct options *options = &run->options;
    const double lasts_seconds[] = {
        [OPENING] = options->ramp_seconds + options->open_seconds,
        [SETTLING] = options->settle_seconds,
        [WARMING_UP] = options->warm_up_seconds,
        [MEASURING] = options->measure_seconds,
        [DRAINING] = options->drain_seconds,
        [LINGERING] = seconds(LINGER_NS),
        [OVER] = 0,
    };
    run->phase = phase;
    run->phase_ends_ns = at_ns + ns(lasts_seconds[phase]);
    fprintf(stderr, "mark %s\n", MARKS[phase]);
    switch (phase) {
    case OPENING:
        run->opening_own_ns = own_ns(&options->turns, at_ns);
        break;
    case WARMING_UP:
        run->publishing_own_ns = next_turn_own_ns(&options->turns, at_ns);
        break;
    case MEASURING:
        run->first_measured = run->ledger.count;
        run->at_start = tally_now(run, at_ns);
        break;
    case DRAINING:
        run->at_end = tally_now(run, at_ns);
        break;
    default:
        break;
    }
}

/* Opens the streams whose time has come, and returns when the next one's is. */
static int64_t open_due_streams(struct run *run, int64_t at_ns)
{
    const struct options *options = &run->options;
    for (; run->begun < options->streams; run->begun++) {
        double since_seconds = options->ramp_seconds * run->begun / options->streams;
        int64_t due = clock_ns(&options->turns, run->opening_own_ns + ns(since_seconds));
        if (due > at_ns)
            return due;
        if (!begin_connecting(run, &run->streams[run->begun].connection, run->begun))
            return at_ns + RETRY_NS;
    }
    return NEVER;
}

static void give_up_on_slow_streams(struct run *run)
{
    for (unsigned nth = 0; nth < run->options.streams; nth++) {
        struct stream *stream = &run->streams[nth];
        if (stream->connection.state == UNOPENED)
            run->failed++;
        else if (stream->connection.state != CLOSED && !stream->opened)
            end_stream(run, stream, "no answer in time");
    }
    run->begun = run->options.streams;
}

static bool is_phase_over(struct run *run, int64_t at_ns)
{
    if (run->phase == OPENING && run->opened + run->failed >= run->options.streams)
        return true;
    if (run->phase == DRAINING && run->ledger.settled == run->ledger.count &&
        run->tally.delivered == owed_deliveries(run))
        return true;
    return at_ns >= run->phase_ends_ns;
}

/* Does what is due, and returns when something next is. */
static int64_t advance(struct run *run, int64_t at_ns)
{
    while (run->phase < OVER && is_phase_over(run, at_ns)) {
        if (run->phase == OPENING)
            give_up_on_slow_streams(run);
        enter_phase(run, run->phase + 1, at_ns);
    }
    int64_t next = run->phase_ends_ns;
    if (run->phase == DRAINING && at_ns + DRAIN_POLL_NS < next)
        next = at_ns + DRAIN_POLL_NS;
    int64_t due = run->phase == OPENING ? open_due_streams(run, at_ns) : NEVER;
    next = due < next ? due : next;
    for (unsigned nth = 0; nth < run->options.publishers; nth++) {
        due = publish_if_due(run, &run->publishers[nth], at_ns);
        next = due < next ? due : next;
    }
    return next;
}

static void serve(struct run *run, struct connection *connection)
{
    struct stream *stream = (struct stream *)connection;
    struct publisher *publisher = (struct publisher *)connection;
    bool is_connecting = connection->state == CONNECTING;
    if (connection->kind == STREAM)
        (is_connecting ? ask_for_stream : read_stream)(run, stream);
    else if (is_connecting)
        meet_publisher(run, publisher);
    else {
        if (publisher->unsent_bytes)
            send_unsent(run, publisher);
        read_answer(run, publisher);
    }
}

static void go(struct run *run)
{
    struct epoll_event ready[READY_AT_ONCE];
    enter_phase(run, OPENING, now_ns());
    for (;;) {
        int64_t at_ns = now_ns();
        int64_t wait_ns = advance(run, at_ns) - at_ns;
        if (run->phase == OVER)
            return;
        if (wait_ns < 0)
            wait_ns = 0;
        struct timespec wait = {wait_ns / NS_PER_SECOND, wait_ns % NS_PER_SECOND};
        int count = epoll_pwait2(run->epoll, ready, READY_AT_ONCE, &wait, NULL);
        if (count < 0 && errno != EINTR)
            die("epoll_pwait2: %s", strerror(errno));
        for (int nth = 0; nth < count; nth++)
            serve(run, ready[nth].data.ptr);
    }
}

/* --- The report ------------------------------------------------------------------------------- */

static void print_histogram(const char *name, const struct histogram *histogram)
{
    if (histogram->count == 0) {
        printf("  \"%s\": null,\n", name);
        return;
    }
    printf("  \"%s\": {\"count\": %" PRIu64 ", \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, "
           "\"max\": %.3f},\n",
           name, histogram->count, (double)quantile(histogram, 0.5) / 1e6,
           (double)quantile(histogram, 0.99) / 1e6, (double)quantile(histogram, 0.999) / 1e6,
           (double)histogram->most / 1e6);
}

static void report(const struct run *run)
{
    const struct tally *start = &run->at_start, *end = &run->at_end;
    uint64_t owed = owed_deliveries(run);
    printf("{\n  \"opened\": %u, \"failed\": %u, \"ended_early\": %u, \"first_failure\": \"%s\",\n",
           run->opened, run->failed, run->ended, run->first_failure);
    printf("  \"owed\": %" PRIu64 ", \"delivered\": %" PRIu64 ", \"lost\": %" PRIu64
           ", \"twice\": %" PRIu64 ", \"out_of_order\": %" PRIu64 ", \"foreign\": %" PRIu64 ",\n",
           owed, run->tally.delivered, owed - run->tally.delivered,
           run->twice, run->out_of_order, run->foreign);
    printf("  \"published\": %" PRIu64 ", \"accepted\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"unanswered\": %" PRIu64 ", \"bytes\": %" PRIu64 ",\n",
           run->ledger.count, run->tally.accepted, run->refused, run->unanswered, run->tally.bytes);
    print_histogram("connect_ms", &run->connects);
    print_histogram("delivery_ms", &run->deliveries);
    print_histogram("answer_ms", &run->answers);
    printf("  \"measured\": {\"seconds\": %.6f, \"delivered\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"accepted\": %" PRIu64 ", \"client_cpu_seconds\": %.6f},\n",
           seconds(end->at_ns - start->at_ns), end->delivered - start->delivered,
           end->bytes - start->bytes, end->accepted - start->accepted,
           end->cpu_seconds - start->cpu_seconds);
    printf("  \"client_cpu_seconds\": %.6f\n}\n", own_cpu_seconds());
}

static void raise_open_files(void)
{
    struct rlimit limit;
    checked(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    checked(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

int main(int count, char **arguments)
{
    struct run *run = new_run(parse_options(count, arguments));
    raise_open_files();
    go(run);
    report(run);
    return 0;
}
