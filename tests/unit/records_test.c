#define _POSIX_C_SOURCE 200809L
/* Records of text files: lines, JSON lines, CSV, TSV, and what is wrong with them. */
#include "formats/records.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "kit/kit.h"

static const char *file_of(const char *name, const char *text)
{
    const char *path = kit_temp_path(name);
    KIT_OK(tuff_write_file(path, text, strlen(text)));
    return path;
}

static tuff_records *open_records(const char *name, const char *text, const char *const *fields, size_t n)
{
    tuff_records *r = NULL;
    KIT_OK(tuff_records_open(file_of(name, text), TUFF_RECORDS_AUTO, fields, n, &r));
    return r;
}

/* The next record's fields, joined by '|', at its line. */
static void expect(tuff_records *r, size_t n, const char *joined, unsigned long long line)
{
    tuff_view values[TUFF_RECORD_FIELDS];
    bool there = false;
    tuff_buf found = {0};
    KIT_OK(tuff_records_next(r, values, &there));
    assert_true(there);
    for (size_t i = 0; i < n; i++) {
        if (i) tuff_buf_char(&found, '|');
        tuff_buf_bytes(&found, values[i].data, values[i].size);
    }
    assert_string_equal(found.data ? found.data : "", joined);
    assert_int_equal(tuff_records_line(r), line);
    tuff_buf_free(&found);
}

static void expect_bad(tuff_records *r, const char *part)
{
    tuff_view values[TUFF_RECORD_FIELDS];
    bool there = true;
    KIT_FAILS(tuff_records_next(r, values, &there), TUFF_BAD_FORMAT, part);
    assert_false(there);
}

static void expect_end(tuff_records *r)
{
    tuff_view values[TUFF_RECORD_FIELDS];
    uint64_t done, total;
    for (int i = 0; i < 2; i++) {
        bool there = true;
        KIT_OK(tuff_records_next(r, values, &there));
        assert_false(there);
    }
    tuff_records_position(r, &done, &total);
    assert_int_equal(done, total);
    tuff_records_close(&r);
}

static void lines_are_records(void **state)
{
    (void)state;
    tuff_records *r = open_records("a.txt", "\xef\xbb\xbfone\r\n\ntwo \"x\"\nlast", NULL, 0);
    expect(r, 1, "one", 1);
    expect(r, 1, "", 2);
    expect(r, 1, "two \"x\"", 3);
    expect(r, 1, "last", 4);
    expect_end(r);
    expect_end(open_records("empty.txt", "", NULL, 0));
}

static void objects_are_records(void **state)
{
    (void)state;
    static const char *const fields[] = {"a", "b"};
    tuff_records *r =
        open_records("a.jsonl",
                     "{\"a\": \"x\\n\\u00e4\", \"b\": 1.5, \"c\": []}\n  \n"
                     "{\"a\": true, \"b\": \"\"}\r\n[1]\n{\"a\": \"x\"}\n{\"a\": \"x\", \"b\": {}}\n"
                     "{\"a\": \"x\"\n{\"a\": \"x\", \"a\": \"y\", \"b\": \"\"}\n{\"a\": \"p\", \"b\": \"q\"}",
                     fields, 2);
    expect(r, 2, "x\n\xc3\xa4|1.5", 1);
    expect(r, 2, "true|", 3);
    expect_bad(r, "a.jsonl, line 4: it is no JSON object");
    expect_bad(r, "line 5: its \"b\" is missing, expected a text");
    expect_bad(r, "line 6: its \"b\" is an object");
    expect_bad(r, "line 7");
    expect_bad(r, "line 8");
    expect(r, 2, "p|q", 9); /* those that failed are passed over */
    expect_end(r);
}

static void the_objects_of_a_list_are_records(void **state)
{
    (void)state;
    static const char *const fields[] = {"a"};
    tuff_records *r = open_records("list.json",
                                   "\n [{\"a\": \"x]},\\\"[\"},\n {\"b\": [1, {}],\n\"a\": \"y\"}\n,"
                                   "{\"b\": 1}, 3, {\"a\": }, {\"a\": \"z\"}\n]\n",
                                   fields, 1);
    expect(r, 1, "x]},\"[", 2);
    expect(r, 1, "y", 3);
    expect_bad(r, "list.json, line 5: its \"a\" is missing");
    expect_bad(r, "list.json, line 5: it is no JSON object");
    expect_bad(r, "list.json: line 5 is not valid JSON");
    expect(r, 1, "z", 5);
    expect_end(r);
    expect_end(open_records("none.json", "[ ]", fields, 1));

    r = open_records("open.json", "[{\"a\": \"x\"}, {\"a\": \"y\"}", fields, 1);
    expect(r, 1, "x", 1);
    expect(r, 1, "y", 1);
    expect_bad(r, "the list of records is not closed");
    expect_end(r);
    r = open_records("more.json", "[{\"a\": \"x\"}]\n{}", fields, 1);
    expect(r, 1, "x", 1);
    expect_bad(r, "more.json, line 2: something follows the list");
    expect_end(r);
    r = open_records("lines.json", "{\"a\": \"x\"}\n{\"a\": \"y\"}\n", fields, 1);
    expect(r, 1, "x", 1);
    expect(r, 1, "y", 2);
    expect_end(r);
}

/* Longer than what is at hand of a file at once. */
static void a_long_list_is_read_to_its_end(void **state)
{
    (void)state;
    enum { ITEMS = 30000 };
    static const char *const fields[] = {"a"};
    tuff_buf text = {0};
    tuff_buf_text(&text, "[");
    for (int i = 0; i < ITEMS; i++)
        tuff_buf_printf(&text, "%s\n  {\"b\": [\"],\"], \"a\": \"%d\"}", i ? "," : "", i);
    tuff_buf_text(&text, "\n]\n");
    tuff_records *r = open_records("long.json", text.data, fields, 1);
    for (int i = 0; i < ITEMS; i++) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, "%d", i);
        expect(r, 1, wanted, (unsigned long long)i + 2);
    }
    expect_end(r);
    tuff_buf_free(&text);
}

static void text_of_two_bytes_a_letter_is_refused(void **state)
{
    (void)state;
    tuff_records *r = NULL;
    KIT_FAILS(tuff_records_open(file_of("windows.txt", "\xff\xfeo\n"), TUFF_RECORDS_AUTO, NULL, 0, &r),
              TUFF_BAD_FORMAT, "windows.txt is UTF-16");
}

/* A text without a byte behind it. */
static void nothing_behind_the_text_is_read(void **state)
{
    (void)state;
    static const char text[] = "{\"text\": \"x\"}\n  ";
    for (size_t size = 0; size < sizeof text; size++)
        for (int kind = TUFF_RECORDS_LINES; kind <= TUFF_RECORDS_TSV; kind++) {
            char *exact = malloc(size + !size);
            tuff_records *r = NULL;
            memcpy(exact, text, size);
            bool there =
                tuff_records_of_text(exact, size, "exact", (tuff_records_kind)kind, NULL, 0, &r) == TUFF_OK;
            tuff_view value;
            while (there && tuff_records_next(r, &value, &there) == TUFF_OK)
                if (there) assert_true(value.size <= size);
            tuff_records_close(&r);
            free(exact);
        }
}

static void rows_are_records(void **state)
{
    (void)state;
    static const char *const fields[] = {"text", "label"};
    tuff_records *r =
        open_records("a.csv",
                     "label,\"text\",more\r\n1,\"a, \"\"b\"\"\nc\",\n2,plain,x\n,,\n3\n4,\"x\"y,\n"
                     "5,z,\n6,\"open",
                     fields, 2);
    expect(r, 2, "a, \"b\"\nc|1", 2);
    expect(r, 2, "plain|2", 4);
    expect(r, 2, "|", 5);
    expect_bad(r, "a.csv, line 6: it has 1 column, \"text\" is column 2");
    expect_bad(r, "line 7: something follows a quoted cell");
    expect(r, 2, "z|5", 8);
    expect_bad(r, "line 9: a quote is not closed");
    expect_end(r);

    r = open_records("a.tsv", "text\tlabel\na \"b\"\t1\n\t2\nalone\n", fields, 2);
    expect(r, 2, "a \"b\"|1", 2);
    expect(r, 2, "|2", 3);
    expect_bad(r, "line 4: it has 1 column, \"label\" is column 2");
    expect_end(r);

    /* what a comma without quotes moves is no record; cells of nothing at the end move nothing */
    r = open_records("wide.csv", "text,label\ngood,1\ngood, bad,1\nbad,0,,\n", fields, 2);
    expect(r, 2, "good|1", 2);
    expect_bad(
        r, "line 3: it has 3 columns, and the first row names 2: a text with a comma in it stands in quotes");
    expect(r, 2, "bad|0", 4);
    expect_end(r);
    r = open_records("wide.tsv", "text\tlabel\ngood\tbad\t1\n", fields, 2);
    expect_bad(r, "line 2: it has 3 columns, and the first row names 2");
    expect_end(r);

    r = open_records("blank.csv", "\ntext\r\n\r\na\n\n\"\"\n\n", NULL, 0);
    expect(r, 1, "a", 4);
    expect(r, 1, "", 6);
    expect_end(r);
    r = open_records("blank.tsv", "text\tlabel\na\t1\n\n\t2\n\n", fields, 2);
    expect(r, 2, "a|1", 2);
    expect(r, 2, "|2", 4);
    expect_end(r);
}

static void a_column_that_is_not_there_is_named(void **state)
{
    (void)state;
    static const char *const fields[] = {"body"};
    tuff_records *r = NULL;
    KIT_FAILS(tuff_records_open(file_of("b.csv", "id,text\n"), TUFF_RECORDS_AUTO, fields, 1, &r),
              TUFF_INVALID_ARGUMENT, "has no column \"body\"; its first row names id, text");
    assert_null(r);
    KIT_FAILS(tuff_records_open(file_of("b.csv", "\"\"\n"), TUFF_RECORDS_AUTO, fields, 1, &r),
              TUFF_INVALID_ARGUMENT, "has no column \"body\"; its first row names ");
    KIT_FAILS(
        tuff_records_open(file_of("b.tsv", "a stirring film\t1\n"), TUFF_RECORDS_AUTO, fields, 1, &r),
        TUFF_INVALID_ARGUMENT,
        "names a stirring film, 1; where that is a record already, name columns by their numbers, 1, 2");
    static const char *const usual[] = {"text", "label"};
    KIT_FAILS(tuff_records_open(file_of("b.tsv", "1\ta stirring film\n"), TUFF_RECORDS_AUTO, usual, 2, &r),
              TUFF_INVALID_ARGUMENT, "name columns by their numbers: --text-field 2 --label-field 1");
    KIT_FAILS(tuff_records_open(file_of("c.csv", ""), TUFF_RECORDS_AUTO, fields, 1, &r), TUFF_BAD_FORMAT,
              "is empty; a first row that names the columns is expected");
    static const char *const two[] = {"a", "b"};
    KIT_FAILS(tuff_records_open(file_of("d.txt", "x\n"), TUFF_RECORDS_AUTO, two, 2, &r),
              TUFF_INVALID_ARGUMENT, "2 fields are asked for of lines of text, which have one");
    KIT_FAILS(tuff_records_open(kit_temp_path("none.txt"), TUFF_RECORDS_AUTO, NULL, 0, &r), TUFF_NOT_FOUND,
              "none.txt");
}

/* Numbers stand for columns of a table whose first row is a record; one of numbers alone that has them names
 * columns. */
static void columns_have_numbers(void **state)
{
    (void)state;
    static const char *const fields[] = {"2", "1"}, *const one[] = {"1"}, *const far[] = {"3"},
                             *const mixed[] = {"1", "label"};
    static const char *const names[] = {"n.tsv", "n.csv"};
    static const char *const texts[] = {"\r\n1\ta film\r\n0\tno film\n", "\n1,a film\r\n0,\"no film\"\n"};
    tuff_records *r = NULL;
    for (int i = 0; i < 2; i++) {
        r = open_records(names[i], texts[i], fields, 2);
        expect(r, 2, "a film|1", 2);
        expect(r, 2, "no film|0", 3);
        assert_int_equal(tuff_records_windows_lines(r), i ? 1 : 2);
        expect_end(r);
        r = open_records(names[i], texts[i], one, 1);
        expect(r, 1, "1", 2);
        tuff_records_close(&r);
        KIT_FAILS(tuff_records_open(file_of(names[i], texts[i]), TUFF_RECORDS_AUTO, far, 1, &r),
                  TUFF_INVALID_ARGUMENT, "has no column number 3; its first row has 2");
        KIT_FAILS(tuff_records_open(file_of(names[i], texts[i]), TUFF_RECORDS_AUTO, mixed, 2, &r),
                  TUFF_INVALID_ARGUMENT, "has no column \"label\"");
    }
    r = open_records("n.csv", "0,1,2\na,b,c\n", fields, 2);
    expect(r, 2, "c|b", 2);
    expect_end(r);
    r = open_records("n.csv", "a,b\nc,d,e\n", fields, 2);
    expect(r, 2, "b|a", 1);
    tuff_view values[2];
    bool there;
    KIT_FAILS(tuff_records_next(r, values, &there), TUFF_BAD_FORMAT, "and the first row has 2");
    tuff_records_close(&r);
}

static tuff_status read_both(void *user)
{
    tuff_status status = TUFF_OK;
    for (int i = 0; i < 2 && status == TUFF_OK; i++) {
        tuff_records *r = NULL;
        tuff_view value;
        bool there = true;
        status = tuff_records_open(((const char *const *)user)[i], TUFF_RECORDS_AUTO, NULL, 0, &r);
        while (status == TUFF_OK && there)
            status = tuff_records_next(r, &value, &there);
        tuff_records_close(&r);
    }
    return status;
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    const char *paths[] = {file_of("m.csv", "text,b\n\"x\"\"y\",2\nplain,3\n"),
                           file_of("m.jsonl", "{\"text\": \"x\"}\n{\"text\": 3}\n")};
    assert_true(kit_for_each_allocation_failure(read_both, (void *)paths) > 5);
}

static void expect_names(const char *file, const char *text, size_t size, const char *wanted)
{
    tuff_buf names = {0}, joined = {0};
    size_t count = 0;
    kit_write_file(file, text, size);
    KIT_OK(tuff_records_names(file, &names, &count));
    for (size_t i = 0, at = 0; i < count; at += strlen(names.data + at) + 1, i++)
        tuff_buf_printf(&joined, "<%s>", names.data + at);
    assert_string_equal(joined.data ? joined.data : "", wanted);
    tuff_buf_free(&names);
    tuff_buf_free(&joined);
}

static void names_of_columns(void **state)
{
    (void)state;
    tuff_buf names = {0};
    size_t count = 0;
#define NAMES(file, text, wanted) expect_names(kit_temp_path(file), text, sizeof text - 1, wanted)
    NAMES("n.csv",
          "\xef\xbb\xbf"
          "a,\"b, c\",\n1,2,3\n",
          "<a><b, c><>");
    NAMES("n.tsv", "a\tb\r\n1\t2\r\n", "<a><b>");
    NAMES("n.jsonl", "\n{\"x\": 1, \"y\": null}\n{\"z\": 1}\n", "<x><y>");
    NAMES("empty.jsonl", "", "");
    NAMES("empty.csv", "", "");
    NAMES("n.txt", "a,b\n", "");
#undef NAMES
    kit_write_file(kit_temp_path("bad.jsonl"), "{\"x\": \n{\"y\": 1}\n", 17);
    KIT_OK(tuff_records_names(kit_temp_path("bad.jsonl"), &names, &count));
    assert_true(count == 1 && strcmp(names.data, "y") == 0);
    kit_write_file(kit_temp_path("bad.jsonl"), "{\"x\": \n{\n", 10);
    KIT_FAILS(tuff_records_names(kit_temp_path("bad.jsonl"), &names, &count), TUFF_BAD_FORMAT, "line 1");
    KIT_FAILS(tuff_records_names(kit_temp_path("none.csv"), &names, &count), TUFF_NOT_FOUND, "none.csv");
    tuff_buf_free(&names);
}

/* The same records of a file as of memory, though the file passes through a window: lines and quoted cells of
 * all lengths, some longer than it. */
/* The next record as JSON text; NULL: there is none. */
static void expect_object(tuff_records *r, const char *json)
{
    const cJSON *object = NULL;
    KIT_OK(tuff_records_next_object(r, &object));
    assert_true(!json == !object);
    if (!json) return;
    char *text = cJSON_PrintUnformatted(object);
    assert_string_equal(text, json);
    cJSON_free(text);
}

static void expect_bad_object(tuff_records *r, const char *part)
{
    const cJSON *object = NULL;
    KIT_FAILS(tuff_records_next_object(r, &object), TUFF_BAD_FORMAT, part);
    assert_null(object);
}

static void records_are_whole_objects(void **state)
{
    (void)state;
    tuff_records *r;
    KIT_OK(tuff_records_open_objects(file_of("o.jsonl", "{\"a\":[1]}\n[1]\n{}\n"), &r));
    expect_object(r, "{\"a\":[1]}");
    expect_bad_object(r, "o.jsonl, line 2: it is no JSON object");
    expect_object(r, "{}");
    expect_object(r, NULL);
    expect_object(r, NULL);
    tuff_records_close(&r);
    /* a name that says nothing */
    KIT_OK(tuff_records_open_objects(file_of("o", "\xef\xbb\xbf \n[{\"a\":1},{\"b\":2}]"), &r));
    expect_object(r, "{\"a\":1}");
    expect_object(r, "{\"b\":2}");
    expect_object(r, NULL);
    tuff_records_close(&r);
    KIT_OK(
        tuff_records_open_objects(file_of("o.csv", "a,\"b c\"\n1,\"x\ny\"\n,\n1\n1,2,3\n\xff,1\n2,3\n"), &r));
    expect_object(r, "{\"a\":\"1\",\"b c\":\"x\\ny\"}");
    expect_object(r, "{\"a\":\"\",\"b c\":\"\"}");
    expect_bad_object(r, "o.csv, line 5: it has 1 column, the first row names 2");
    expect_bad_object(r, "o.csv, line 6: it has 3 columns, the first row names 2");
    expect_bad_object(r, "o.csv, line 7: its text is not UTF-8");
    expect_object(r, "{\"a\":\"2\",\"b c\":\"3\"}");
    expect_object(r, NULL);
    tuff_records_close(&r);
    KIT_FAILS(tuff_records_open_objects(file_of("o.txt", "Once upon"), &r), TUFF_INVALID_ARGUMENT,
              "o.txt is text, expected records: JSON (.jsonl, .json), CSV or TSV");
    assert_null(r);
    KIT_FAILS(tuff_records_open_objects(file_of("o.txt", " "), &r), TUFF_INVALID_ARGUMENT, "o.txt is empty");
    KIT_FAILS(tuff_records_open_objects(file_of("o.tsv", ""), &r), TUFF_BAD_FORMAT, "o.tsv is empty");
    KIT_FAILS(tuff_records_open_objects(file_of("o.tsv", "a\tb\ta\n"), &r), TUFF_BAD_FORMAT,
              "two of its columns are called \"a\"; rename one");
    KIT_FAILS(tuff_records_open_objects(file_of("o.tsv", "a\t\xff\n"), &r), TUFF_BAD_FORMAT,
              "no text in UTF-8");
}

static tuff_status read_objects(void *user)
{
    tuff_records *r = NULL;
    const cJSON *object = NULL;
    tuff_status status = tuff_records_open_objects(user, &r);
    do {
        if (status == TUFF_OK) status = tuff_records_next_object(r, &object);
    } while (status == TUFF_OK && object);
    tuff_records_close(&r);
    return status;
}

static void memory_of_objects_may_end_anywhere(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(
                    read_objects, (void *)(uintptr_t)file_of("m.csv", "a,b\n1,2\n3,\"4\"\n")) > 5);
    assert_true(kit_for_each_allocation_failure(
                    read_objects, (void *)(uintptr_t)file_of("m.json", "[{\"a\":\"b\"},{\"c\":[1]}]")) > 5);
}

static void files_are_read_in_pieces(void **state)
{
    (void)state;
    static const char *const names[] = {"a.txt", "a.jsonl", "a.csv", "a.tsv"}, *const fields[] = {"text"};
    for (int kind = 0; kind < 4; kind++) {
        tuff_buf text = {0};
        tuff_records *file = NULL, *memory = NULL;
        if (kind >= 2) tuff_buf_text(&text, kind == 2 ? "n,text\r\n" : "n\ttext\n");
        for (int i = 0; text.size < 3 << 20; i++) {
            int length = i % 97 == 96 ? 700000 : i * i % 3001;
            tuff_buf_text(&text, kind == 1 ? "{\"text\": \"" : kind == 2 ? "1,\"" : kind == 3 ? "1\t" : "");
            for (int k = 0; k < length; k++)
                tuff_buf_text(&text, kind == 2 && k % 50 == 7 ? "\n\"\"," : "x");
            tuff_buf_text(&text, kind == 1 ? "\"}\n\n" : kind == 2 ? "\"\r\n" : "\n");
        }
        const char *path = kit_temp_path(names[kind]);
        KIT_OK(tuff_write_file(path, text.data, text.size));
        KIT_OK(tuff_records_open(path, TUFF_RECORDS_AUTO, fields, 1, &file));
        KIT_OK(tuff_records_of_text(text.data, text.size, "memory", (tuff_records_kind)(kind + 1), fields, 1,
                                    &memory));
        size_t records = 0;
        for (bool there = true; there; records += there) {
            tuff_view a, b;
            bool also = false;
            uint64_t done[2], total;
            KIT_OK(tuff_records_next(file, &a, &there));
            KIT_OK(tuff_records_next(memory, &b, &also));
            assert_true(there == also && (!there || tuff_view_equal(a, b)));
            assert_int_equal(tuff_records_line(file), tuff_records_line(memory));
            tuff_records_position(file, &done[0], &total);
            tuff_records_position(memory, &done[1], &total);
            assert_int_equal(done[0], done[1]);
            assert_int_equal(total, text.size);
        }
        assert_true(records > 250);
        tuff_records_close(&file);
        tuff_records_close(&memory);
        tuff_buf_free(&text);
    }
}

/* Nothing that looks at the name sees it: only reading tells. A mapping of it would end the process. */
static void a_file_that_is_cut_short_is_an_error(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    const char *path = kit_temp_path("cut.txt");
    char *text = tuff_alloc(SIZE);
    tuff_records *r = NULL;
    tuff_view line;
    bool there = true;
    for (int i = 0; i < SIZE; i++)
        text[i] = i % 64 == 63 ? '\n' : 'x';
    KIT_OK(tuff_write_file(path, text, SIZE));
    KIT_OK(tuff_records_open(path, TUFF_RECORDS_AUTO, NULL, 0, &r));
    KIT_OK(tuff_records_next(r, &line, &there));
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, 4096) == 0 && close(fd) == 0);
    tuff_status status = TUFF_OK;
    int records = 1;
    for (; status == TUFF_OK && there; records++)
        status = tuff_records_next(r, &line, &there);
    assert_true(records < SIZE / 64);
    KIT_FAILS(status, TUFF_IO, "cut.txt was cut short after it was opened");
    tuff_records_close(&r);
    tuff_free(text);
}

/* As where a quote is never closed: memory stays bounded. */
static void a_record_without_end_is_refused(void **state)
{
    (void)state;
    const char *path = file_of("endless.csv", "text\ngood\n\"");
    const char *const field = "text";
    tuff_records *r = NULL;
    assert_int_equal(truncate(path, 300 << 20), 0);
    KIT_OK(tuff_records_open(path, TUFF_RECORDS_AUTO, &field, 1, &r));
    expect(r, 1, "good", 2);
    expect_bad(r, "endless.csv, line 3: from here on nothing ends a record within 256 MiB");
    tuff_records_close(&r);
}

/* How many of 1000 records are of one part; `seen` gets which. */
static int count_part(const char *path, double share, uint64_t seed, bool held_out, bool seen[1000])
{
    tuff_records *r = NULL;
    tuff_view value;
    bool there = true;
    int n = 0;
    const char *const field = "n";
    KIT_OK(tuff_records_open(path, TUFF_RECORDS_AUTO, &field, 1, &r));
    KIT_OK(tuff_records_take_part(r, share, seed, held_out));
    for (int i = 0; i < 1000; i++)
        seen[i] = false;
    for (;; n++) {
        KIT_OK(tuff_records_next(r, &value, &there));
        if (!there) break;
        seen[atoi(value.data)] = true;
    }
    tuff_records_close(&r);
    return n;
}

static void a_share_of_the_records_is_held_out(void **state)
{
    (void)state;
    static const struct {
        double share;
        int held;
    } cases[] = {{0.05, 50}, {0.5, 500}, {0.3, 300}, {0.01, 10}};
    static bool held[1000], again[1000], rest[1000];
    const char *path = kit_temp_path("thousand.jsonl");
    tuff_buf text = {0};
    for (int i = 0; i < 1000; i++)
        tuff_buf_printf(&text, "{\"n\": \"%d\"}\n", i);
    kit_write_file(path, text.data, text.size);
    tuff_buf_free(&text);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int moved = 0;
        assert_int_equal(count_part(path, cases[c].share, 7, true, held), cases[c].held);
        assert_int_equal(count_part(path, cases[c].share, 7, false, rest), 1000 - cases[c].held);
        assert_int_equal(count_part(path, cases[c].share, 8, true, again), cases[c].held);
        for (int i = 0; i < 1000; i++) {
            assert_true(held[i] != rest[i]);
            moved += held[i] != again[i];
        }
        assert_true(moved > 0);
    }
    /* what is wrong in the other part is not this one's matter */
    const char *bad = kit_temp_path("bad.jsonl");
    kit_write_file(bad, "{\"n\": \"0\"}\nnone\n{\"n\": \"2\"}\n{\"n\": \"3\"}\n", 38);
    int failures = 0;
    for (int part = 0; part < 2; part++) {
        tuff_records *r = NULL;
        tuff_view value;
        bool there = true;
        const char *const field = "n";
        KIT_OK(tuff_records_open(bad, TUFF_RECORDS_AUTO, &field, 1, &r));
        KIT_OK(tuff_records_take_part(r, 0.5, 1, part));
        while (there) {
            const tuff_status status = tuff_records_next(r, &value, &there);
            failures += status == TUFF_BAD_FORMAT;
            there = there || status == TUFF_BAD_FORMAT;
        }
        tuff_records_close(&r);
    }
    assert_int_equal(failures, 1);
    tuff_records *r = NULL;
    KIT_OK(tuff_records_of_text("a\n", 2, "a text", TUFF_RECORDS_LINES, NULL, 0, &r));
    KIT_FAILS(tuff_records_take_part(r, 0.5, 1, true), TUFF_INVALID_ARGUMENT, "cannot be read twice");
    tuff_records_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_columns),
        cmocka_unit_test(records_are_whole_objects),
        cmocka_unit_test(memory_of_objects_may_end_anywhere),
        cmocka_unit_test(files_are_read_in_pieces),
        cmocka_unit_test(a_file_that_is_cut_short_is_an_error),
        cmocka_unit_test(a_record_without_end_is_refused),
        cmocka_unit_test(lines_are_records),
        cmocka_unit_test(a_share_of_the_records_is_held_out),
        cmocka_unit_test(objects_are_records),
        cmocka_unit_test(the_objects_of_a_list_are_records),
        cmocka_unit_test(a_long_list_is_read_to_its_end),
        cmocka_unit_test(text_of_two_bytes_a_letter_is_refused),
        cmocka_unit_test(nothing_behind_the_text_is_read),
        cmocka_unit_test(rows_are_records),
        cmocka_unit_test(a_column_that_is_not_there_is_named),
        cmocka_unit_test(columns_have_numbers),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
