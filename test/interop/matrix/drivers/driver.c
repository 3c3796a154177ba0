/*
 * The C client (libzookeeper_mt) as a driver of the matrix (README.md). All calls are asynchronous ones, so that completions and watch events come on
 * one thread in the order of the connection, and the log of a session shows that order.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define MAX_FIELDS 16
#define MAX_SESSIONS 16
#define MAX_STATES 64
#define LONG_DATA 256
#define LIMIT_S 20

/* A text that grows. */
struct text {
    char *at;
    size_t length, room;
};

static void add_bytes(struct text *t, const char *bytes, size_t n) {
    if (t->length + n + 1 > t->room) {
        t->room = (t->length + n + 1) * 2;
        t->at = realloc(t->at, t->room);
    }
    memcpy(t->at + t->length, bytes, n);
    t->length += n;
    t->at[t->length] = 0;
}

static void add(struct text *t, const char *format, ...) {
    char buffer[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    add_bytes(t, buffer, (size_t)n);
}

static void add_string(struct text *t, const char *s) {
    if (s == NULL) {
        add(t, "null");
        return;
    }
    add(t, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') add(t, "\\%c", c);
        else if (c < 0x20) add(t, "\\u%04x", c);
        else add_bytes(t, s, 1);
    }
    add(t, "\"");
}

static void add_stat(struct text *t, const struct Stat *s) {
    if (s == NULL) {
        add(t, "null");
        return;
    }
    add(t, "[\"%lld\",\"%lld\",\"%lld\",\"%lld\",%d,%d,%d,\"%lld\",%d,%d,\"%lld\"]", (long long)s->czxid, (long long)s->mzxid, (long long)s->ctime,
        (long long)s->mtime, s->version, s->cversion, s->aversion, (long long)s->ephemeralOwner, s->dataLength, s->numChildren, (long long)s->pzxid);
}

static void add_data(struct text *t, const char *data, int length) {
    if (data == NULL || length < 0) {
        add(t, "null");
        return;
    }
    add(t, "\"");
    if (length > LONG_DATA) add(t, "%d:", length);
    for (int i = 0; i < length && i < LONG_DATA; i++) add(t, "%02x", (unsigned char)data[i]);
    add(t, "\"");
}

static void add_strings(struct text *t, const struct String_vector *strings) {
    add(t, "[");
    for (int i = 0; strings != NULL && i < strings->count; i++) {
        if (i > 0) add(t, ",");
        add_string(t, strings->data[i]);
    }
    add(t, "]");
}

struct session {
    char name[32];
    zhandle_t *zh;
    clientid_t id;
    int states[MAX_STATES], first_state, last_state;
    struct text log;
};

static struct session sessions[MAX_SESSIONS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* The one call under way. */
static struct text answer;
static int answered;
static const char *verb;
static struct session *caller;

static struct session *session_of(const char *name) {
    for (int i = 0; i < MAX_SESSIONS; i++)
        if (strcmp(sessions[i].name, name) == 0) return &sessions[i];
    return NULL;
}

static struct session *new_session(const char *name) {
    struct session *s = session_of(name);
    if (s == NULL) s = session_of("");
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

static void log_entry(struct session *s, const char *label, const char *type, const char *path) {
    struct text entry = {0};
    add_bytes(&entry, label, strlen(label));
    add(&entry, " %s", type);
    if (path != NULL) add(&entry, " "), add_bytes(&entry, path, strlen(path));
    if (s->log.length > 0) add(&s->log, ",");
    add_string(&s->log, entry.at);
    free(entry.at);
}

static void on_state(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh, (void)path;
    struct session *s = context;
    if (type != ZOO_SESSION_EVENT) return;
    pthread_mutex_lock(&lock);
    if (s->last_state < MAX_STATES) s->states[s->last_state++] = state;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

struct watch {
    struct session *session;
    char *label;
};

static const char *type_name(int type) {
    if (type == ZOO_CREATED_EVENT) return "NodeCreated";
    if (type == ZOO_DELETED_EVENT) return "NodeDeleted";
    if (type == ZOO_CHANGED_EVENT) return "NodeDataChanged";
    if (type == ZOO_CHILD_EVENT) return "NodeChildrenChanged";
    return "other";
}

static void on_watch(zhandle_t *zh, int type, int state, const char *path, void *context) {
    (void)zh, (void)state;
    struct watch *w = context;
    if (type == ZOO_SESSION_EVENT) return;
    pthread_mutex_lock(&lock);
    log_entry(w->session, w->label, type_name(type), path);
    pthread_mutex_unlock(&lock);
}

/* Ends the call under way with a whole answer. Called with the lock. */
static void end_call(void) {
    if (*verb) log_entry(caller, "=", verb, NULL);
    answered = 1;
    pthread_cond_broadcast(&changed);
}

/* Every completion begins so: with the lock, and an error for an answer if there is one. */
static int begin_completion(int rc) {
    pthread_mutex_lock(&lock);
    if (rc == ZOK) return 1;
    add(&answer, "{\"error\":%d}", rc);
    return 0;
}

static void end_completion(void) {
    end_call();
    pthread_mutex_unlock(&lock);
}

static void on_void(int rc, const void *data) {
    (void)data;
    if (begin_completion(rc)) add(&answer, "{}");
    end_completion();
}

static void on_string(int rc, const char *value, const void *data) {
    (void)data;
    if (begin_completion(rc)) add(&answer, "{\"path\":"), add_string(&answer, value), add(&answer, "}");
    end_completion();
}

static void on_string_stat(int rc, const char *value, const struct Stat *stat, const void *data) {
    (void)data;
    if (begin_completion(rc)) {
        add(&answer, "{\"path\":"), add_string(&answer, value);
        add(&answer, ",\"stat\":"), add_stat(&answer, stat), add(&answer, "}");
    }
    end_completion();
}

static void on_stat(int rc, const struct Stat *stat, const void *data) {
    (void)data;
    if (begin_completion(rc)) add(&answer, "{\"stat\":"), add_stat(&answer, stat), add(&answer, "}");
    end_completion();
}

static void on_data(int rc, const char *value, int length, const struct Stat *stat, const void *data) {
    (void)data;
    if (begin_completion(rc)) {
        add(&answer, "{\"data\":"), add_data(&answer, value, length);
        add(&answer, ",\"stat\":"), add_stat(&answer, stat), add(&answer, "}");
    }
    end_completion();
}

/* As `reconfig` is answered: the data are those of the new configuration, which the matrix does not compare. */
static void on_reconfig(int rc, const char *value, int length, const struct Stat *stat, const void *data) {
    (void)value, (void)length;
    on_stat(rc, stat, data);
}

static void on_strings(int rc, const struct String_vector *strings, const void *data) {
    (void)data;
    if (begin_completion(rc)) add(&answer, "{\"children\":"), add_strings(&answer, strings), add(&answer, "}");
    end_completion();
}

static void on_strings_stat(int rc, const struct String_vector *strings, const struct Stat *stat, const void *data) {
    (void)data;
    if (begin_completion(rc)) {
        add(&answer, "{\"children\":"), add_strings(&answer, strings);
        add(&answer, ",\"stat\":"), add_stat(&answer, stat), add(&answer, "}");
    }
    end_completion();
}

static void on_acl(int rc, struct ACL_vector *acl, struct Stat *stat, const void *data) {
    (void)data;
    if (begin_completion(rc)) {
        add(&answer, "{\"acl\":[");
        for (int i = 0; i < acl->count; i++)
            add(&answer, "%s\"%d:%s:%s\"", i > 0 ? "," : "", acl->data[i].perms, acl->data[i].id.scheme, acl->data[i].id.id);
        add(&answer, "],\"stat\":"), add_stat(&answer, stat), add(&answer, "}");
    }
    end_completion();
}

/* -- arguments -- */

static int hex_digit(char c) {
    return c <= '9' ? c - '0' : (tolower((unsigned char)c) - 'a' + 10);
}

/* Splits at `separator` and takes the percent-encoding off, in place. */
static int split(char *line, char separator, char **fields) {
    int n = 0;
    char *next = line;
    while (next != NULL && n < MAX_FIELDS) {
        char *field = next;
        next = strchr(field, separator);
        if (next != NULL) *next++ = 0;
        char *to = field;
        for (char *from = field; *from; from++) {
            if (*from == '%' && from[1] && from[2]) {
                *to++ = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
                from += 2;
            } else {
                *to++ = *from;
            }
        }
        *to = 0;
        fields[n++] = field;
    }
    for (int i = n; i < MAX_FIELDS; i++) fields[i] = "";
    return n;
}

struct data {
    char *at;
    int length; /* -1 is null */
};

static struct data data_of(const char *arg) {
    struct data d = {NULL, -1};
    if (strcmp(arg, "-") == 0) return d;
    const char *star = strchr(arg, '*');
    d.length = star != NULL ? atoi(star + 1) : (int)strlen(arg) / 2;
    d.at = malloc((size_t)d.length + 1);
    if (star != NULL) memset(d.at, hex_digit(arg[0]) * 16 + hex_digit(arg[1]), (size_t)d.length);
    else
        for (int i = 0; i < d.length; i++) d.at[i] = (char)(hex_digit(arg[2 * i]) * 16 + hex_digit(arg[2 * i + 1]));
    return d;
}

static struct ACL_vector acl_of(const char *arg) {
    struct ACL_vector acl = {0, calloc(8, sizeof(struct ACL))};
    char *copy = strdup(arg), *rest = copy;
    for (char *entry; *arg && (entry = strsep(&rest, ",")) != NULL;) {
        char *perms = strsep(&entry, ":"), *scheme = strsep(&entry, ":");
        acl.data[acl.count].perms = atoi(perms);
        acl.data[acl.count].id.scheme = strdup(scheme);
        acl.data[acl.count++].id.id = strdup(entry);
    }
    free(copy);
    return acl;
}

/* -- commands -- */

static void deadline(struct timespec *at) {
    clock_gettime(CLOCK_REALTIME, at);
    at->tv_sec += LIMIT_S;
}

/* The next state of the session that is `a` or `b`, or 0 if there is none in time. Called with the lock. */
static int next_state(struct session *s, int a, int b) {
    struct timespec end;
    deadline(&end);
    for (;;) {
        while (s->first_state < s->last_state) {
            int state = s->states[s->first_state++];
            if (state == a || state == b) return state;
        }
        if (pthread_cond_timedwait(&changed, &lock, &end) == ETIMEDOUT) return 0;
    }
}

static int state_of(const char *name) {
    if (strcmp(name, "SyncConnected") == 0) return ZOO_CONNECTED_STATE;
    if (strcmp(name, "Expired") == 0) return ZOO_EXPIRED_SESSION_STATE;
    if (strcmp(name, "AuthFailed") == 0) return ZOO_AUTH_FAILED_STATE;
    return ZOO_CONNECTING_STATE;
}

static void open_session(char **f, const clientid_t *id) {
    struct session *s = new_session(f[1]);
    int flags = id == NULL && strcmp(f[4], "read-only") == 0 ? ZOO_READONLY : 0;
    s->zh = zookeeper_init(f[2], on_state, atoi(f[3]), id, s, flags);
    if (s->zh == NULL) {
        printf("{\"refused\":\"zookeeper_init\"}\n");
        return;
    }
    pthread_mutex_lock(&lock);
    int state = next_state(s, ZOO_CONNECTED_STATE, flags == 0 ? ZOO_EXPIRED_SESSION_STATE : ZOO_READONLY_STATE);
    pthread_mutex_unlock(&lock);
    if (state == 0) printf("{\"refused\":\"no SyncConnected\"}\n");
    else if (state == ZOO_EXPIRED_SESSION_STATE) printf("{\"state\":\"Expired\"}\n");
    else {
        s->id = *zoo_client_id(s->zh);
        printf("{\"session\":\"%lld\",\"timeout\":%d%s}\n", (long long)s->id.client_id, zoo_recv_timeout(s->zh),
            state == ZOO_READONLY_STATE ? ",\"state\":\"ConnectedReadOnly\"" : "");
    }
}

static void await_state(struct session *s, const char *wanted) {
    pthread_mutex_lock(&lock);
    int state = next_state(s, state_of(wanted), state_of(wanted));
    pthread_mutex_unlock(&lock);
    if (state == 0) printf("{\"refused\":\"no %s\"}\n", wanted);
    else printf("{\"state\":\"%s\"}\n", wanted);
}

/* Waits for the completion of a call that was accepted with `rc`, and leaves its answer in `answer`. */
static void await_answer(int rc) {
    struct timespec end;
    deadline(&end);
    pthread_mutex_lock(&lock);
    while (rc == ZOK && !answered)
        if (pthread_cond_timedwait(&changed, &lock, &end) == ETIMEDOUT) break;
    if (rc != ZOK) add(&answer, "{\"refused\":\"%d\"}", rc);
    else if (!answered) add(&answer, "{\"refused\":\"no answer\"}");
    pthread_mutex_unlock(&lock);
}

static void begin_call(struct session *s, const char *name) {
    pthread_mutex_lock(&lock);
    answer.length = 0;
    answered = 0;
    verb = name;
    caller = s;
    pthread_mutex_unlock(&lock);
}

static void print_events(struct session *s) {
    begin_call(s, "");
    await_answer(zoo_async(s->zh, "/", on_string, NULL));
    pthread_mutex_lock(&lock);
    printf("{\"events\":[%s]}\n", s->log.length > 0 ? s->log.at : "");
    s->log.length = 0;
    pthread_mutex_unlock(&lock);
}

/* The watch of a label; those that are never called again are not freed, for a driver lives for seconds. */
static struct watch *watch_of(struct session *s, const char *label) {
    if (!*label) return NULL;
    struct watch *w = malloc(sizeof *w);
    w->session = s;
    w->label = strdup(label);
    return w;
}

static int write_call(struct session *s, char **f) {
    zhandle_t *zh = s->zh;
    if (strcmp(f[0], "create") == 0 || strcmp(f[0], "create2") == 0) {
        struct data d = data_of(f[3]);
        struct ACL_vector acl = acl_of(f[4]);
        int64_t ttl = *f[6] ? atoll(f[6]) : -1;
        if (f[0][6] == '2') return zoo_acreate2_ttl(zh, f[2], d.at, d.length, &acl, atoi(f[5]), ttl, on_string_stat, NULL);
        return zoo_acreate_ttl(zh, f[2], d.at, d.length, &acl, atoi(f[5]), ttl, on_string, NULL);
    }
    if (strcmp(f[0], "delete") == 0) return zoo_adelete(zh, f[2], atoi(f[3]), on_void, NULL);
    if (strcmp(f[0], "setData") == 0) {
        struct data d = data_of(f[3]);
        return zoo_aset(zh, f[2], d.at, d.length, atoi(f[4]), on_stat, NULL);
    }
    if (strcmp(f[0], "setAcl") == 0) {
        struct ACL_vector acl = acl_of(f[3]);
        return zoo_aset_acl(zh, f[2], atoi(f[4]), &acl, on_void, NULL);
    }
    if (strcmp(f[0], "sync") == 0) return zoo_async(zh, f[2], on_string, NULL);
    if (strcmp(f[0], "addAuth") == 0) return zoo_add_auth(zh, f[2], f[3], (int)strlen(f[3]), on_void, NULL);
    if (strcmp(f[0], "reconfig") == 0) return zoo_areconfig(zh, *f[2] ? f[2] : NULL, *f[3] ? f[3] : NULL, *f[4] ? f[4] : NULL, -1, on_reconfig, NULL);
    return 1;
}

static int read_call(struct session *s, char **f) {
    zhandle_t *zh = s->zh;
    struct watch *w = watch_of(s, f[3]);
    watcher_fn fn = w == NULL ? NULL : on_watch;
    if (strcmp(f[0], "exists") == 0) return zoo_awexists(zh, f[2], fn, w, on_stat, NULL);
    if (strcmp(f[0], "getData") == 0) return zoo_awget(zh, f[2], fn, w, on_data, NULL);
    if (strcmp(f[0], "getChildren") == 0) return zoo_awget_children(zh, f[2], fn, w, on_strings, NULL);
    if (strcmp(f[0], "getChildren2") == 0) return zoo_awget_children2(zh, f[2], fn, w, on_strings_stat, NULL);
    if (strcmp(f[0], "getAcl") == 0) return zoo_aget_acl(zh, f[2], on_acl, NULL);
    /* The header asks for a pointer to the pointer, but the library calls what it is given. */
    if (strcmp(f[0], "removeWatches") == 0) return zoo_aremove_all_watches(zh, f[2], atoi(f[3]), 0, (void_completion_t *)on_void, NULL);
    return 1;
}

static zoo_op_result_t results[MAX_FIELDS];
static zoo_op_t ops[MAX_FIELDS];
static struct Stat set_stats[MAX_FIELDS];
static char created[MAX_FIELDS][1024];
static int op_count;

static void on_multi(int rc, const void *data) {
    (void)data;
    pthread_mutex_lock(&lock);
    add(&answer, "{");
    if (rc != ZOK) add(&answer, "\"error\":%d,", rc);
    add(&answer, "\"results\":[");
    for (int i = 0; i < op_count; i++) {
        if (i > 0) add(&answer, ",");
        if (rc != ZOK) add(&answer, "{\"error\":%d}", results[i].err);
        else if (ops[i].type == 1) add(&answer, "{\"path\":"), add_string(&answer, created[i]), add(&answer, "}");
        else if (ops[i].type == 5) add(&answer, "{\"stat\":"), add_stat(&answer, &set_stats[i]), add(&answer, "}");
        else add(&answer, "{}");
    }
    add(&answer, "]}");
    end_completion();
}

static int multi_call(struct session *s, char **f, int n) {
    op_count = n - 2;
    for (int i = 0; i < op_count; i++) {
        char *p[MAX_FIELDS];
        split(f[i + 2], '|', p);
        memset(&ops[i], 0, sizeof ops[i]);
        memset(&results[i], 0, sizeof results[i]);
        if (strcmp(p[0], "create") == 0) {
            /* The client has no function for a TTL in a multi. */
            if (*p[5] || atoi(p[4]) > 3) return 1;
            struct data d = data_of(p[2]);
            struct ACL_vector *acl = malloc(sizeof *acl);
            *acl = acl_of(p[3]);
            zoo_create_op_init(&ops[i], p[1], d.at, d.length, acl, atoi(p[4]), created[i], sizeof created[i]);
        } else if (strcmp(p[0], "delete") == 0) {
            zoo_delete_op_init(&ops[i], p[1], atoi(p[2]));
        } else if (strcmp(p[0], "setData") == 0) {
            struct data d = data_of(p[2]);
            zoo_set_op_init(&ops[i], p[1], d.at, d.length, atoi(p[3]), &set_stats[i]);
        } else {
            zoo_check_op_init(&ops[i], p[1], atoi(p[2]));
        }
    }
    return zoo_amulti(s->zh, op_count, ops, results, on_multi, NULL);
}

static void run(char **f, int n) {
    if (strcmp(f[0], "connect") == 0) {
        open_session(f, NULL);
        return;
    }
    struct session *s = session_of(strcmp(f[0], "reattach") == 0 ? f[4] : f[1]);
    if (strcmp(f[0], "reattach") == 0) {
        clientid_t id = s->id;
        if (strcmp(f[5], "wrong") == 0) id.passwd[0] ^= 1;
        open_session(f, &id);
    } else if (strcmp(f[0], "close") == 0) {
        zookeeper_close(s->zh);
        s->zh = NULL;
        printf("{}\n");
    } else if (strcmp(f[0], "await") == 0) {
        await_state(s, f[2]);
    } else if (strcmp(f[0], "events") == 0) {
        print_events(s);
    } else {
        char *name = strdup(f[0]);
        begin_call(s, name);
        int rc = strcmp(name, "multi") == 0 ? multi_call(s, f, n) : write_call(s, f);
        if (rc == 1) rc = read_call(s, f);
        if (rc == 1) printf("{\"unsupported\":\"%s\"}\n", name);
        else {
            await_answer(rc);
            printf("%s\n", answer.at);
        }
    }
}

int main(void) {
    char *line = NULL, *fields[MAX_FIELDS];
    size_t room = 0;
    ssize_t length;
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    while ((length = getline(&line, &room, stdin)) > 0) {
        line[length - 1] = 0;
        run(fields, split(line, '\t', fields));
        fflush(stdout);
    }
    return 0;
}
