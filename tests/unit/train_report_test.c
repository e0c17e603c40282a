/* Reports of trainings: the page, the event files, what both keep of long trainings. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <tuff/report.h>

#include "base/disk.h"
#include "base/file.h"
#include "base/hash.h"
#include "kit/files.h"
#include "train/chart.h"
#include "train/seen.h"

/* ---- records */

/* As TensorBoard's own RecordWriter writes them. */
static void records_are_those_of_tensorboard(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        size_t size;
        uint8_t bytes[40];
    } known[] = {{"", 0, {0, 0, 0, 0, 0, 0, 0, 0, 0x29, 0x03, 0x98, 0x07, 0xd8, 0xea, 0x82, 0xa2}},
                 {"hello", 5, {5,    0,   0,   0,   0,   0,   0,    0,    0xea, 0xb2, 0x04,
                               0x3e, 'h', 'e', 'l', 'l', 'o', 0xbb, 0x1f, 0x1c, 0x19}},
                 {"\x09\0\0\0\0\0\0\xf0\x3f\x1a\x0d"
                  "brain.Event:2",
                  24,
                  {0x18, 0,   0,   0,   0,   0,    0,    0,    0xa3, 0x7f, 0x4b, 0x22, 9,   0,
                   0,    0,   0,   0,   0,   0xf0, 0x3f, 0x1a, 0x0d, 'b',  'r',  'a',  'i', 'n',
                   '.',  'E', 'v', 'e', 'n', 't',  ':',  '2',  0x86, 0xbf, 0x57, 0x7a}}};
    assert_int_equal(tuff_crc32c("123456789", 9), 0xe3069283);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        tuff_buf out = {0};
        tuff_events_record(&out, known[i].message, known[i].size);
        assert_int_equal(out.size, known[i].size + 16);
        assert_memory_equal(out.data, known[i].bytes, out.size);
        tuff_buf_free(&out);
    }
}

/* What a reader finds in an event file. */
typedef struct event {
    int64_t step;
    double wall;
    char version[32];
    bool start; /* of a session */
    struct {
        char tag[64];
        float value;
        char plugin[16], text[256]; /* of texts */
    } values[8];
    size_t n;
} event;

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static uint64_t varint(reader *r)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        assert_true(r->at < r->end && shift < 64);
        value |= (uint64_t)(*r->at & 127) << shift;
        if (!(*r->at++ & 128)) return value;
    }
}

static reader part(reader *r)
{
    const uint64_t size = varint(r);
    assert_true(size <= (uint64_t)(r->end - r->at));
    const reader inner = {r->at, r->at + size};
    r->at = inner.end;
    return inner;
}

static void text_of(reader r, char *out, size_t size)
{
    const size_t n = (size_t)(r.end - r.at);
    assert_true(n < size);
    memcpy(out, r.at, n);
    out[n] = 0;
}

/* The text of a field within fields: {9, 1, 1} is of the plugin's name. */
static void find_text(reader r, const int *path, char *out, size_t size)
{
    while (r.at < r.end) {
        const uint64_t key = varint(&r);
        if ((key & 7) == 0) {
            varint(&r);
        } else if ((key & 7) == 5) {
            r.at += 4;
        } else {
            assert_int_equal(key & 7, 2);
            const reader inner = part(&r);
            if ((int)(key >> 3) != *path) continue;
            if (path[1])
                find_text(inner, path + 1, out, size);
            else
                text_of(inner, out, size);
        }
    }
}

static void take_value(reader r, event *e)
{
    assert_true(e->n < 8);
    find_text(r, (const int[]){1, 0}, e->values[e->n].tag, 64);
    find_text(r, (const int[]){9, 1, 1, 0}, e->values[e->n].plugin, 16);
    find_text(r, (const int[]){8, 8, 0}, e->values[e->n].text, 256);
    while (r.at < r.end) {
        const uint64_t key = varint(&r);
        if ((key & 7) == 5) {
            assert_int_equal(key >> 3, 2);
            memcpy(&e->values[e->n].value, r.at, 4);
            r.at += 4;
        } else {
            part(&r);
        }
    }
    e->n++;
}

static void take_event(reader r, event *e)
{
    while (r.at < r.end) {
        const uint64_t key = varint(&r);
        if (key == (1 << 3 | 1)) {
            memcpy(&e->wall, r.at, 8);
            r.at += 8;
        } else if (key == (2 << 3 | 0)) {
            e->step = (int64_t)varint(&r);
        } else if (key == (3 << 3 | 2)) {
            text_of(part(&r), e->version, sizeof e->version);
        } else if (key == (7 << 3 | 2)) {
            reader session = part(&r);
            e->start = varint(&session) == 8 && varint(&session) == 1;
        } else {
            assert_int_equal(key, 5 << 3 | 2);
            reader summary = part(&r);
            while (summary.at < summary.end) {
                assert_int_equal(varint(&summary), 1 << 3 | 2);
                take_value(part(&summary), e);
            }
        }
    }
}

/* All events of the files in a directory, whose names end as Tuff's do; only one file is expected. */
static size_t read_events(const char *directory, event *out, size_t capacity)
{
    tuff_buf file = {0};
    size_t n = 0;
    char *name = tuff_first_name(directory, ".tuff");
    assert_non_null(name);
    assert_non_null(strstr(name, "events.out.tfevents."));
    kit_read_file(kit_join(directory, name), &file);
    tuff_free(name);
    for (size_t at = 0; at < file.size; n++) {
        uint64_t size;
        tuff_buf again = {0};
        assert_true(n < capacity && file.size - at >= 16);
        memcpy(&size, file.data + at, 8);
        assert_true(size <= file.size - at - 16);
        tuff_events_record(&again, file.data + at + 12, (size_t)size);
        assert_memory_equal(again.data, file.data + at, again.size); /* its sums among that */
        out[n] = (event){0};
        take_event((reader){(uint8_t *)again.data + 12, (uint8_t *)again.data + 12 + size}, &out[n]);
        at += again.size;
        tuff_buf_free(&again);
    }
    tuff_buf_free(&file);
    return n;
}

static void expect_scalar(const event *e, const char *tag, double value)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->values[i].tag, tag) == 0) {
            assert_true(e->values[i].value == (float)value);
            return;
        }
    fail_msg("no %s of step %lld", tag, (long long)e->step);
}

/* ---- reports */

static tuff_train_step step_of(int64_t number)
{
    tuff_train_step s = TUFF_TRAIN_STEP_INIT;
    s.step = number;
    s.epoch = (double)number / 10;
    s.loss = 5 - 0.25 * (double)number;
    s.learning_rate = 1e-3;
    s.grad_norm = 2;
    s.tokens = 100;
    s.seconds = 0.5;
    return s;
}

static tuff_eval_result eval_of(double loss)
{
    tuff_eval_result e = TUFF_EVAL_RESULT_INIT;
    e.loss = loss;
    e.perplexity = exp(loss);
    e.tokens = 10;
    e.count = 1;
    snprintf(e.figures[0].name, sizeof e.figures[0].name, "accuracy");
    e.figures[0].value = 0.75;
    return e;
}

static tuff_train_report *report_of(const char *page, const char *events, int64_t done, const char *log)
{
    tuff_train_report *report = NULL;
    tuff_train_report_params p = TUFF_TRAIN_REPORT_PARAMS_INIT;
    p.page = page;
    p.events = events;
    p.title = "out <&> \"x\"";
    p.total_steps = 8;
    p.done_steps = done;
    p.log = log;
    p.interval = 1e-9;
    KIT_OK(tuff_train_report_create(&p, &report));
    return report;
}

static void events_have_what_was_told(void **state)
{
    (void)state;
    const char *directory = kit_path("told/runs");
    tuff_train_report *r = report_of(NULL, directory, 4, NULL);
    tuff_train_step s = step_of(5), bad = step_of(6);
    tuff_eval_result e = eval_of(2);
    bad.loss = NAN;
    bad.grad_norm = INFINITY;
    bad.skipped = true;
    event events[16];
    assert_int_equal(read_events(directory, events, 16), 2); /* before anything is told */
    KIT_OK(tuff_train_report_fact(r, "Settings", "learning-rate", "0.001"));
    KIT_OK(tuff_train_report_step(r, &s));
    assert_int_equal(read_events(directory, events, 16), 3); /* at once */
    KIT_OK(tuff_train_report_step(r, &bad));
    KIT_OK(tuff_train_report_eval(r, 6, &e));
    KIT_OK(tuff_train_report_sample(r, 6, "the river", 9, "is\na\xc1 r\xe2\x82", 9));
    KIT_OK(tuff_train_report_end(r, TUFF_TRAINING_DONE, "done"));
    tuff_train_report_destroy(&r);
    assert_int_equal(read_events(directory, events, 16), 6);
    assert_string_equal(events[0].version, "brain.Event:2");
    assert_true(events[0].wall > 1.7e9 && events[0].wall < 1e11);
    assert_true(events[1].start && events[1].step == 5);
    assert_int_equal(events[2].step, 5);
    assert_string_equal(events[2].values[0].tag, "args/text_summary");
    assert_string_equal(events[2].values[0].plugin, "text");
    assert_string_equal(events[2].values[0].text, "    learning-rate: 0.001\n");
    expect_scalar(&events[2], "train/loss", s.loss);
    expect_scalar(&events[2], "train/learning_rate", 1e-3);
    expect_scalar(&events[2], "train/grad_norm", 2);
    expect_scalar(&events[2], "train/epoch", 0.5);
    assert_int_equal(events[2].n, 5); /* the first step's speed is none */
    assert_int_equal(events[3].step, 6);
    expect_scalar(&events[3], "train/grad_norm", INFINITY);
    expect_scalar(&events[3], "train/tokens_per_second", 200);
    assert_int_equal(events[3].n, 4); /* and no loss */
    assert_int_equal(events[4].step, 6);
    expect_scalar(&events[4], "eval/loss", 2);
    expect_scalar(&events[4], "eval/perplexity", exp(2));
    expect_scalar(&events[4], "eval/accuracy", 0.75);
    assert_string_equal(events[5].values[0].tag, "samples/1/text_summary");
    assert_string_equal(events[5].values[0].text, "    the river\n\n    is\n    a\xef\xbf\xbd r\xef\xbf\xbd");
}

static void expect_part(const tuff_buf *page, const char *part)
{
    if (!strstr(page->data, part)) fail_msg("the page has no %s", part);
}

/* Tags are closed in their order, but for those that have no end; nothing comes from elsewhere. */
static void expect_sound(const tuff_buf *page)
{
    char open[64][16];
    size_t depth = 0;
    for (const char *at = strchr(page->data, '<'); at; at = strchr(at + 1, '<')) {
        char name[16];
        const bool end = at[1] == '/';
        const size_t size = strcspn(at + 1 + end, " >/");
        const char *close = strchr(at, '>');
        assert_true(size < sizeof name && close);
        memcpy(name, at + 1 + end, size);
        name[size] = 0;
        if (name[0] == '!' || strcmp(name, "meta") == 0 || strcmp(name, "br") == 0 || close[-1] == '/')
            continue;
        if (end) {
            if (depth == 0 || strcmp(open[depth - 1], name) != 0)
                fail_msg("</%s> closes %s: %.60s", name, depth ? open[depth - 1] : "nothing", at);
            depth--;
        } else {
            assert_true(depth < 64);
            memcpy(open[depth++], name, sizeof name);
        }
    }
    assert_int_equal(depth, 0);
    static const char *const never[] = {"<script", "<link", "src=", "href=", "url(", "@import", "http"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strstr(page->data, never[i])) fail_msg("the page has %s", never[i]);
}

/* Steps of a millisecond, of which every second one takes nine: on the page they have one speed. */
static void short_steps_have_a_steady_speed(void **state)
{
    (void)state;
    enum { STEPS = 300 };
    const char *path = kit_path("speed.html");
    tuff_train_report *r = report_of(path, NULL, 0, NULL);
    for (int64_t i = 1; i <= STEPS; i++) {
        tuff_train_step s = step_of(i);
        s.seconds = i % 2 ? 0.001 : 0.009;
        KIT_OK(tuff_train_report_step(r, &s));
    }
    KIT_OK(tuff_train_report_end(r, TUFF_TRAINING_DONE, "done"));
    tuff_buf page;
    kit_read_file(path, &page);
    char *begin = strstr(page.data, "Throughput"), *end = begin ? strstr(begin, "</figure>") : NULL;
    assert_non_null(end);
    *end = 0;
    assert_non_null(strstr(begin, ">20k<")); /* the axis */
    assert_null(strstr(begin, ">50k<"));
    assert_null(strstr(begin, ">100k<"));
    tuff_buf_free(&page);
    tuff_train_report_destroy(&r);
}

static void pages_have_what_was_told(void **state)
{
    (void)state;
    const char *path = kit_path("page.html");
    tuff_buf page;
    tuff_train_report *r = report_of(path, NULL, 0, NULL);
    kit_read_file(path, &page);
    expect_sound(&page);
    expect_part(&page, "nothing yet");
    expect_part(&page, "out &lt;&amp;&gt; &quot;x&quot;");
    tuff_buf_free(&page);
    KIT_OK(tuff_train_report_fact(r, "Settings", "<b>", "a & b"));
    KIT_OK(tuff_train_report_sample(r, 0, "</td>\x01", 6, "<script>", 8));
    for (int64_t i = 1; i <= 6; i++) {
        tuff_train_step s = step_of(i);
        if (i == 3) s.skipped = true, s.loss = NAN, s.grad_norm = INFINITY;
        if (i == 4) s.skipped = true, s.loss = NAN;
        KIT_OK(tuff_train_report_step(r, &s));
    }
    const tuff_eval_result worse = eval_of(3.125), better = eval_of(2.5), last = eval_of(2.75);
    KIT_OK(tuff_train_report_eval(r, 2, &worse));
    KIT_OK(tuff_train_report_eval(r, 4, &better));
    r->cost = 0; /* so that it is written now */
    KIT_OK(tuff_train_report_eval(r, 6, &last));
    kit_read_file(path, &page); /* without the end, for the interval is over */
    expect_sound(&page);
    expect_part(&page, "running: step 6 of 8 (75\xc2\xa0%), about 1 s left");
    expect_part(&page, "<dt>loss</dt><dd>3.5, at the beginning 4.75</dd>");
    expect_part(&page, "<dt>best validation loss</dt><dd>2.5, after step 4</dd>");
    expect_part(&page, "<dt>skipped steps</dt><dd>2</dd>");
    expect_part(&page, "<dt>throughput</dt><dd>200 tokens/s</dd>");
    expect_part(&page, "not finite at 3; there was nothing to learn from at 4.");
    expect_part(&page, "<dt>&lt;b&gt;</dt><dd>a &amp; b</dd>");
    expect_part(&page, "&lt;/td&gt;\xef\xbf\xbd");
    expect_part(&page, "&lt;script&gt;");
    expect_part(&page,
                "training: 4.75 at step 1, 3.5 at step 6. validation: 3.125 at step 2, 2.75 at step 6.");
    expect_part(&page, "best 2.5<");
    expect_part(&page, ">accuracy<");
    assert_int_equal(page.data[page.size - 1], '\n');
    tuff_buf_free(&page);
    KIT_OK(tuff_train_report_end(r, TUFF_TRAINING_FAILED, "it <diverged>"));
    kit_read_file(path, &page);
    expect_part(&page, "bad\">\xe2\x9c\x97 it &lt;diverged&gt;: step 6");
    expect_sound(&page);
    tuff_buf_free(&page);
    tuff_train_report_destroy(&r);
    remove(path);
}

/* Three examples, two of them alike. */
static tuff_dataset *data_of(const char *first_class)
{
    static const int32_t ids[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, classes[] = {0, 1, 0};
    const char *const names[] = {first_class, "b"};
    tuff_example e[] = {TUFF_EXAMPLE_INIT, TUFF_EXAMPLE_INIT, TUFF_EXAMPLE_INIT};
    tuff_dataset *data = NULL;
    for (int i = 0; i < 3; i++) {
        e[i].ids = ids;
        e[i].count = i < 2 ? 4 : 12;
        e[i].labels = &classes[i];
    }
    KIT_OK(tuff_dataset_from_examples("classification", e, 3, names, 2, &data));
    return data;
}

static void pages_say_what_data_hold(void **state)
{
    (void)state;
    const char *path = kit_path("data.html");
    tuff_buf page;
    tuff_train_report *r = report_of(path, NULL, 0, NULL);
    tuff_dataset *data = data_of("<a>");
    KIT_OK(tuff_train_report_data(r, "Training: <x>", data, NULL));
    KIT_OK(tuff_train_report_data(r, "Validation: y", data, data));
    tuff_dataset_destroy(&data);
    for (int i = 2; i < TUFF_REPORT_DATA; i++) {
        data = data_of("c");
        KIT_OK(tuff_train_report_data(r, "more", data, NULL));
        if (i == TUFF_REPORT_DATA - 1)
            KIT_FAILS(tuff_train_report_data(r, "too many", data, NULL), TUFF_INVALID_ARGUMENT,
                      "room for 8 data sets");
        tuff_dataset_destroy(&data);
    }
    KIT_OK(tuff_train_report_end(r, TUFF_TRAINING_DONE, "done"));
    tuff_train_report_destroy(&r);
    kit_read_file(path, &page);
    expect_sound(&page);
    const char *first = strstr(page.data, "<h3>Training: &lt;x&gt;</h3>"),
               *second = strstr(page.data, "<h3>Validation: y</h3>");
    assert_true(first && second && first < second);
    static const char *const parts[] = {
        "<dt>examples</dt><dd>3</dd>",
        "<dt>tokens</dt><dd>20</dd>",
        "<dt>lengths</dt><dd>4 to 12 tokens; half of them up to 4, 95\xc2\xa0% up to 12</dd>",
        "<dt>malformed</dt><dd>0</dd>",
        "<dt>cut</dt><dd>0</dd>",
        "<dt>repeated</dt><dd>1 examples that stand there before</dd>",
        "<tr><td class=\"range\">1\xe2\x80\x93"
        "8</td><td class=\"n\">2</td><td class=\"bar\"><i style=\"width:100.0%\"></i>",
        "<tr><td class=\"range\">9\xe2\x80\x93"
        "16</td><td class=\"n\">1</td><td class=\"bar\"><i style=\"width:50.0%\"></i>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *at = strstr(first, parts[i]);
        if (!at || at > second) fail_msg("the page has no %s", parts[i]);
    }
    const char *known = strstr(first, "<dt>also in training</dt><dd>3 examples");
    assert_true(known && known > second);
    tuff_buf_free(&page);
}

/* What a log has of earlier steps is as if it had been told; in the events only where they are new. */
static void logs_are_gone_on_from(void **state)
{
    (void)state;
    const char *log = kit_path("log.jsonl"), *direct = kit_path("direct.html"), *read = kit_path("read.html"),
               *fresh = kit_path("fresh-events"), *bad = kit_path("bad.jsonl");
    static const char lines[] =
        "{\"step\": 0, \"prompt\": \"a\", \"sample\": \"b\\nc\"}\n"
        "{\"step\": 1, \"epoch\": 0.1, \"loss\": 4.75, \"learning_rate\": 0.001, \"grad_norm\": 2, \"tokens\": 100}\n"
        "{\"step\": 2, \"epoch\": 0.2, \"loss\": null, \"learning_rate\": 0.001, \"grad_norm\": null, \"tokens\": 200, "
        "\"skipped\": true}\n"
        "{\"step\": 2, \"eval_loss\": 3, \"eval_perplexity\": 20.085536923187668, \"eval_accuracy\": 0.75}\n";
    kit_write_file(log, lines, sizeof lines - 1);
    tuff_train_report *a = report_of(direct, NULL, 0, NULL), *b = report_of(read, fresh, 2, log);
    tuff_train_step one = step_of(1), two = step_of(2);
    tuff_eval_result e = eval_of(3);
    one.seconds = two.seconds = 0; /* which a log does not know */
    two.loss = NAN;
    two.grad_norm = INFINITY;
    two.skipped = true;
    KIT_OK(tuff_train_report_sample(a, 0, "a", 1, "b\nc", 3));
    KIT_OK(tuff_train_report_step(a, &one));
    KIT_OK(tuff_train_report_step(a, &two));
    KIT_OK(tuff_train_report_eval(a, 2, &e));
    KIT_OK(tuff_train_report_end(a, TUFF_TRAINING_DONE, "done"));
    KIT_OK(tuff_train_report_end(b, TUFF_TRAINING_DONE, "done"));
    tuff_buf x, y;
    kit_read_file(direct, &x);
    kit_read_file(read, &y);
    const char *from = strstr(x.data, "<dl>"), *from_read = strstr(y.data, "<dl>"), /* behind the time */
                                                   *to = strstr(x.data, "<dt>began</dt>"),
               *to_read = strstr(y.data, "<dt>began</dt>");
    assert_int_equal(to - from, to_read - from_read);
    assert_memory_equal(from, from_read, (size_t)(to - from));
    tuff_buf_free(&x);
    tuff_buf_free(&y);
    tuff_train_report_destroy(&a);
    tuff_train_report_destroy(&b);
    event events[16];
    assert_int_equal(read_events(fresh, events, 16), 6);
    assert_true(events[1].start && events[1].step == 3);
    assert_int_equal(events[3].step, 1);
    expect_scalar(&events[3], "train/loss", 4.75);
    expect_scalar(&events[5], "eval/accuracy", 0.75);
    b = report_of(NULL, fresh, 2, log); /* another file, which has no step again */
    tuff_train_report_destroy(&b);
    assert_int_equal(kit_count_entries(fresh), 1); /* and none of its own: it goes */
    tuff_train_step three = step_of(3);
    b = report_of(NULL, fresh, 2, log);
    KIT_OK(tuff_train_report_step(b, &three));
    tuff_train_report_destroy(&b);
    assert_int_equal(kit_count_entries(fresh), 2);
    static const struct {
        const char *text, *part;
    } wrong[] = {
        {"{\"step\": 1, ", "bad.jsonl"}, {"{\"loss\": 1}\n", "no \"step\""}, {"[1]\n", "found a list"}};
    for (size_t i = 0; i < 3; i++) {
        tuff_train_report_params p = TUFF_TRAIN_REPORT_PARAMS_INIT;
        kit_write_file(bad, wrong[i].text, strlen(wrong[i].text));
        p.page = read;
        p.log = bad;
        p.events = kit_path("no-events/of/these");
        KIT_FAILS(tuff_train_report_create(&p, &b), TUFF_BAD_FORMAT, wrong[i].part);
        assert_false(tuff_is_directory(kit_path("no-events")));
    }
}

/* A training of any length takes the same memory, and no step is lost from its means. */
static void long_trainings_share_places(void **state)
{
    (void)state;
    enum { STEPS = 10000 };
    tuff_history *h = test_calloc(1, sizeof *h);
    tuff_place *rows = test_calloc(TUFF_HISTORY_PLACES, sizeof *rows);
    for (int64_t i = 1; i <= STEPS; i++) {
        const double values[TUFF_CURVES] = {(double)i, i % 2 ? 1 : NAN, 1};
        tuff_history_add(h, i, (double)i / 100, values, 4, i == STEPS / 2 ? 0x1p-20 : i > 1 ? 2 : 0);
        assert_true(h->count <= TUFF_HISTORY_PLACES);
    }
    assert_true(h->count > TUFF_HISTORY_PLACES / 2 - 1);
    static const size_t most[] = {TUFF_HISTORY_PLACES, 40, 7, 1};
    for (size_t k = 0; k < 4; k++) {
        const size_t n = tuff_history_join(h, most[k], rows);
        double sum = 0, highest = 0;
        int64_t steps = 0, odd = 0, next = 1;
        assert_true(n <= most[k] && 3 * n > most[k]);
        for (size_t i = 0; i < n; i++) {
            const tuff_values *loss = &rows[i].of[TUFF_CURVE_LOSS];
            assert_int_equal(rows[i].first, next);
            assert_true(loss->low == (double)rows[i].first && loss->high == (double)rows[i].last);
            assert_int_equal(loss->count, rows[i].last - rows[i].first + 1);
            next = rows[i].last + 1;
            sum += loss->sum;
            steps += loss->count;
            odd += rows[i].of[TUFF_CURVE_RATE].count;
            highest = fmax(highest, rows[i].of[TUFF_CURVE_SPEED].high);
            const double speed = tuff_place_mean(&rows[i], TUFF_CURVE_SPEED); /* of them together */
            assert_true(speed >= 2 && speed < 2.3);
        }
        assert_int_equal(next, STEPS + 1);
        assert_int_equal(steps, STEPS);
        assert_int_equal(odd, STEPS / 2);
        assert_true(sum == 0.5 * STEPS * (STEPS + 1) && highest == 0x1p22);
    }
    test_free(h);
    test_free(rows);
}

/* So do its evaluations and samples; the first sample and the newest of both stay. */
static void much_is_thinned_out(void **state)
{
    (void)state;
    const char *path = kit_path("much.html");
    tuff_train_report *r = report_of(path, NULL, 0, NULL);
    r->interval = 1e9;
    for (int64_t i = 0; i < 3000; i++) {
        const tuff_eval_result e = eval_of(1 + 1 / (double)(i + 1));
        char text[32];
        const int n = snprintf(text, sizeof text, "said %lld", (long long)i);
        KIT_OK(tuff_train_report_eval(r, i, &e));
        KIT_OK(tuff_train_report_sample(r, i, i % 2 ? "a" : "b", 1, text, (size_t)n));
    }
    assert_true(r->n_evals <= TUFF_REPORT_EVALS && r->evals[r->n_evals - 1].step == 2999);
    assert_true(r->n_samples <= TUFF_REPORT_SAMPLES && r->samples[r->n_samples - 1].step == 2999);
    assert_int_equal(r->samples[0].step, 0);
    for (int64_t i = 0; i < 3000; i++) /* a round of more than all */
        KIT_OK(tuff_train_report_sample(r, 3000, "c", 1, "x", 1));
    assert_true(r->n_samples <= TUFF_REPORT_SAMPLES);
    KIT_OK(tuff_train_report_end(r, TUFF_TRAINING_STOPPED, "stopped"));
    tuff_buf page;
    kit_read_file(path, &page);
    expect_sound(&page);
    assert_true(page.size < 400000);
    tuff_buf_free(&page);
    tuff_train_report_destroy(&r);
}

static void pages_are_written_now_and_then(void **state)
{
    (void)state;
    const char *path = kit_path("then.html");
    tuff_train_report *r = report_of(path, NULL, 0, NULL);
    const tuff_train_step s = step_of(1);
    assert_int_equal(remove(path), 0);
    r->interval = 1e6;
    KIT_OK(tuff_train_report_step(r, &s));
    assert_false(tuff_is_file(path));
    r->interval = 1e-9;
    r->cost = (uint64_t)1 << 60; /* it took years */
    KIT_OK(tuff_train_report_step(r, &s));
    assert_false(tuff_is_file(path));
    r->cost = 0;
    KIT_OK(tuff_train_report_step(r, &s));
    assert_true(tuff_is_file(path));
    tuff_train_report_destroy(&r);
}

static void numbers_are_short(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},
                 {0.0125, "0.0125"},
                 {2e-5, "2e-5"},
                 {-1.5e-12, "-1.5e-12"},
                 {12500, "12.5k"},
                 {1234567, "1.235M"},
                 {9999, "9999"},
                 {3e12, "3T"},
                 {1e20, "1e+20"},
                 {0.001, "0.001"},
                 {-3.25, "-3.25"},
                 {1e-300, "1e-300"},
                 {DBL_MAX, "1.8e+308"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[TUFF_CHART_NUMBER];
        tuff_chart_number(known[i].value, text);
        assert_string_equal(text, known[i].text);
    }
}

/* Any figures make a picture whose every coordinate lies in it. */
static void charts_hold_any_figures(void **state)
{
    (void)state;
    static const double x[] = {1, 2, 3, 4};
    static const double ys[][4] = {{1, 2, 3, 4},
                                   {5, 5, 5, 5},
                                   {0, 0, 0, 0},
                                   {NAN, 1, NAN, 2},
                                   {1e-30, 1, 1e30, INFINITY},
                                   {-1e300, 1e300, 0, 1},
                                   {-DBL_MAX, DBL_MAX, 0, 1},
                                   {DBL_MIN, DBL_MAX, 1, 2},
                                   {1, 1 + DBL_EPSILON, 1, 1},
                                   {-4, -3, -2.5, -1},
                                   {NAN, NAN, NAN, NAN}};
    for (size_t i = 0; i < sizeof ys / sizeof *ys; i++)
        for (size_t n = 1; n <= 4; n++)
            for (int zero = 0; zero < 2; zero++) {
                const tuff_chart chart = {.id = "a",
                                          .title = "A < B",
                                          .unit = "x",
                                          .from_zero = zero,
                                          .lines = {{.name = "training",
                                                     .kind = "train",
                                                     .x = x,
                                                     .y = ys[i],
                                                     .low = ys[i],
                                                     .high = ys[i],
                                                     .n = n,
                                                     .marked = true}},
                                          .n_lines = 1};
                tuff_buf out = {0};
                tuff_chart_print(&chart, &out);
                assert_false(out.failed);
                expect_sound(&out);
                if (strstr(out.data, "nan") || strstr(out.data, "inf") || out.size > 20000)
                    fail_msg("case %zu of %zu: %zu bytes: %.2000s", i, n, out.size, out.data);
                tuff_buf_free(&out);
            }
}

/* ---- what fails */

static void settings_are_checked(void **state)
{
    (void)state;
    const char *file = kit_path("a-file");
    tuff_train_report *r = NULL;
    tuff_train_report_params p = TUFF_TRAIN_REPORT_PARAMS_INIT;
    kit_write_file(file, "x", 1);
    KIT_FAILS(tuff_train_report_create(&p, &r), TUFF_INVALID_ARGUMENT, "has neither");
    p.page = kit_path("none/page.html");
    KIT_FAILS(tuff_train_report_create(&p, &r), TUFF_IO, "none");
    p.page = NULL;
    p.events = file;
    KIT_FAILS(tuff_train_report_create(&p, &r), TUFF_IO, "a-file");
    p.events = kit_path("for-none");
    p.log = kit_path("no-log");
    KIT_FAILS(tuff_train_report_create(&p, &r), TUFF_NOT_FOUND, "no-log");
    r = report_of(kit_path("checked.html"), NULL, 0, NULL);
    tuff_eval_result e = eval_of(1);
    e.count = TUFF_EVAL_FIGURES + 1;
    KIT_FAILS(tuff_train_report_eval(r, 1, &e), TUFF_INVALID_ARGUMENT, "17 figures");
    tuff_train_report_destroy(&r);
}

static int full(tuff_disk_step step, const char *path)
{
    (void)path;
    return step == TUFF_DISK_WRITE ? 28 /* ENOSPC */ : 0;
}

/* The old page stays, and the next one comes; of the events a whole beginning. */
static void disks_may_be_full(void **state)
{
    (void)state;
    const char *path = kit_path("full.html"), *directory = kit_path("full-events");
    tuff_train_report *page = report_of(path, NULL, 0, NULL), *r = report_of(NULL, directory, 0, NULL);
    const tuff_train_step s = step_of(1);
    tuff_buf before, after;
    kit_read_file(path, &before);
    page->cost = 0;
    tuff_disk_hook = full;
    const tuff_status of_page = tuff_train_report_step(page, &s), of_events = tuff_train_report_step(r, &s);
    tuff_disk_hook = NULL;
    assert_int_equal(of_page, TUFF_IO);
    assert_int_equal(of_events, TUFF_IO);
    kit_read_file(path, &after);
    assert_string_equal(before.data, after.data);
    tuff_buf_free(&before);
    tuff_buf_free(&after);
    page->cost = 0;
    KIT_OK(tuff_train_report_step(page, &s));
    kit_read_file(path, &after);
    expect_part(&after, "running: step 1 of 8");
    tuff_buf_free(&after);
    KIT_OK(tuff_train_report_step(r, &s));
    event events[4];
    assert_int_equal(read_events(directory, events, 4), 2);
    tuff_train_report_destroy(&page);
    tuff_train_report_destroy(&r);
}

static tuff_dataset *memory_data;

static tuff_status tell_all(void *user)
{
    tuff_train_report *r = NULL;
    tuff_train_report_params p = TUFF_TRAIN_REPORT_PARAMS_INIT;
    const tuff_train_step s = step_of(1);
    const tuff_eval_result e = eval_of(2);
    p.page = user;
    p.events = kit_path("memory-events");
    p.interval = 1e-9;
    p.log = kit_path("memory-log.jsonl");
    tuff_status status = tuff_train_report_create(&p, &r);
    if (status == TUFF_OK) status = tuff_train_report_fact(r, "Settings", "a", "b");
    if (status == TUFF_OK) status = tuff_train_report_data(r, "a", memory_data, memory_data);
    if (status == TUFF_OK) status = tuff_train_report_step(r, &s);
    if (status == TUFF_OK) status = tuff_train_report_eval(r, 1, &e);
    if (status == TUFF_OK) status = tuff_train_report_sample(r, 1, "p", 1, "t", 1);
    if (status == TUFF_OK) status = tuff_train_report_end(r, TUFF_TRAINING_DONE, "done");
    tuff_train_report_destroy(&r);
    return status;
}

static int no_sync(tuff_disk_step step, const char *path)
{
    (void)path;
    return step == TUFF_DISK_SYNC ? TUFF_DISK_SKIP : 0;
}

static void memory_may_fail(void **state)
{
    (void)state;
    kit_write_file(kit_path("memory-log.jsonl"), "{\"step\": 0, \"prompt\": \"a\", \"sample\": \"b\"}\n", 41);
    char path[512];
    snprintf(path, sizeof path, "%s", kit_path("memory.html"));
    tuff_disk_hook = no_sync;
    memory_data = data_of("a");
    const unsigned failures = kit_for_each_allocation_failure(tell_all, path);
    tuff_disk_hook = NULL;
    tuff_dataset_destroy(&memory_data);
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_those_of_tensorboard),
        cmocka_unit_test(events_have_what_was_told),
        cmocka_unit_test(pages_have_what_was_told),
        cmocka_unit_test(short_steps_have_a_steady_speed),
        cmocka_unit_test(pages_say_what_data_hold),
        cmocka_unit_test(logs_are_gone_on_from),
        cmocka_unit_test(long_trainings_share_places),
        cmocka_unit_test(much_is_thinned_out),
        cmocka_unit_test(pages_are_written_now_and_then),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(charts_hold_any_figures),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(disks_may_be_full),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
