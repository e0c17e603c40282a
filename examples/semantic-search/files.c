#define _POSIX_C_SOURCE 200809L
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PIECE: bytes of a vector's text; models see a few hundred tokens, what is longer would be lost. */
enum { FILE_LIMIT = 64 << 20, DEEPEST = 32, PIECE = 700 };

uint64_t hash_of(const char *text, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

static bool grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return true;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *more = realloc(*items, wanted * size);
    if (!more) return false;
    *items = more;
    *capacity = wanted;
    return true;
}

/* Takes over the memory; NULL: there is none. */
static char *keep(paragraphs *all, char *memory)
{
    if (memory && grow((void **)&all->kept, all->kept_count, &all->kept_capacity, sizeof *all->kept)) {
        all->kept[all->kept_count++] = memory;
        return memory;
    }
    free(memory);
    return NULL;
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    char *data = NULL;
    if (file && fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= FILE_LIMIT &&
        (data = malloc((size_t)info.st_size + 1)) != NULL)
        *size = fread(data, 1, (size_t)info.st_size, file);
    if (file) fclose(file);
    return data;
}

static bool is_blank(const char *line, size_t size)
{
    return strspn(line, " \t\r") >= size;
}

/* How much of a text is its first piece: up to a blank, unless a word is longer than that. */
static size_t piece_size(const char *text, size_t size)
{
    if (size <= PIECE) return size;
    for (size_t n = PIECE; n > PIECE / 2; n--)
        if (is_blank(text + n, 1) || text[n] == '\n') return n;
    size_t n = PIECE;
    while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80) /* not within a character */
        n--;
    return n;
}

/* Adds a paragraph that begins at a line, a long one in pieces. */
static bool add_pieces(paragraphs *all, const char *path, size_t line, const char *text, size_t size)
{
    while (size) {
        size_t n = piece_size(text, size);
        if (!grow((void **)&all->items, all->count, &all->capacity, sizeof *all->items)) return false;
        all->items[all->count++] = (paragraph){path, line, text, n, hash_of(text, n)};
        for (; n < size && strchr(" \t\r\n", text[n]); n++)
            ; /* what is between two pieces is of none */
        for (size_t i = 0; i < n; i++)
            line += text[i] == '\n';
        text += n;
        size -= n;
    }
    return true;
}

/* Cuts a text, which ends with a NUL, at its empty lines. */
static bool add_paragraphs(paragraphs *all, const char *path, const char *text)
{
    const char *begin = NULL, *end = NULL;
    size_t line = 1, first = 1;
    for (const char *at = text;; line++) {
        size_t size = strcspn(at, "\n");
        bool blank = is_blank(at, size), last = at[size] == '\0';
        if (!blank && !begin) {
            begin = at;
            first = line;
        }
        if (!blank) end = at + size;
        if (begin && (blank || last)) {
            if (!add_pieces(all, path, first, begin, (size_t)(end - begin))) return false;
            begin = NULL;
        }
        if (last) return true;
        at += size + 1;
    }
}

static bool has_ending(const char *name, const char *ending)
{
    size_t n = strlen(name), size = strlen(ending);
    return n > size && strcmp(name + n - size, ending) == 0;
}

static bool add_file(paragraphs *all, const char *path, const char *shown)
{
    size_t size = 0;
    char *text = read_file(path, &size);
    if (!text) return errno != ENOMEM; /* one that cannot be read is passed over */
    text[size] = '\0';
    char *name = strdup(shown);
    return keep(all, text) && (name = keep(all, name)) && add_paragraphs(all, name, text);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool walk(paragraphs *all, const char *folder, const char *shown, int depth)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, by_name);
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        char path[4096], below[4096];
        struct stat info;
        int whole = snprintf(path, sizeof path, "%s/%s", folder, name);
        snprintf(below, sizeof below, "%s%s%s", shown, *shown ? "/" : "", name);
        if (ok && name[0] != '.' && whole < (int)sizeof path && lstat(path, &info) == 0) {
            if (S_ISDIR(info.st_mode) && depth < DEEPEST)
                ok = walk(all, path, below, depth + 1) || errno == EACCES;
            else if (S_ISREG(info.st_mode) && (has_ending(name, ".txt") || has_ending(name, ".md")))
                ok = add_file(all, path, below);
        }
        free(entries[i]);
    }
    free(entries);
    return ok;
}

bool paragraphs_read(const char *folder, paragraphs *out)
{
    *out = (paragraphs){0};
    return walk(out, folder, "", 0);
}

void paragraphs_free(paragraphs *texts)
{
    for (size_t i = 0; i < texts->kept_count; i++)
        free(texts->kept[i]);
    free(texts->kept);
    free(texts->items);
    *texts = (paragraphs){0};
}

/* ---- vectors: a head of three numbers, then rows of a hash and a vector, in the order of hashes ---- */

static const uint64_t MAGIC = 0x32737665436d6573u;

enum { HEAD = 3 }; /* the format, numbers of a vector, the model */

known_vectors known_open(const char *path, int64_t dimensions, uint64_t model)
{
    known_vectors known = {0};
    size_t size = 0;
    uint64_t head[HEAD] = {0};
    char *data = read_file(path, &size);
    size_t row = sizeof(uint64_t) + (size_t)dimensions * sizeof(float);
    if (data && size >= sizeof head) memcpy(head, data, sizeof head);
    if (head[0] != MAGIC || head[1] != (uint64_t)dimensions || head[2] != model ||
        (size - sizeof head) % row) {
        free(data);
        return known;
    }
    known.data = data;
    known.row = row;
    known.count = (size - sizeof head) / row;
    return known;
}

void known_close(known_vectors *known)
{
    free(known->data);
    *known = (known_vectors){0};
}

const float *known_find(const known_vectors *known, uint64_t hash)
{
    size_t low = 0, high = known->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *row = known->data + HEAD * sizeof(uint64_t) + middle * known->row;
        uint64_t found;
        memcpy(&found, row, sizeof found);
        if (found == hash) return (const float *)(const void *)(row + sizeof found);
        if (found < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

typedef struct entry {
    uint64_t hash;
    size_t at;
} entry;

static int by_hash(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static bool write_rows(FILE *file, const entry *entries, size_t n, const float *vectors, size_t dimensions,
                       uint64_t model)
{
    const uint64_t head[HEAD] = {MAGIC, dimensions, model};
    bool ok = fwrite(head, sizeof head, 1, file) == 1;
    for (size_t i = 0; i < n && ok; i++)
        ok = fwrite(&entries[i].hash, sizeof entries[i].hash, 1, file) == 1 &&
             fwrite(vectors + entries[i].at * dimensions, sizeof *vectors, dimensions, file) == dimensions;
    return ok;
}

bool known_save(const char *path, const paragraphs *texts, const float *vectors, int64_t dimensions,
                uint64_t model)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    entry *entries = malloc(texts->count * sizeof *entries);
    FILE *file = entries ? fopen(temporary, "wb") : NULL;
    for (size_t i = 0; file && i < texts->count; i++)
        entries[i] = (entry){texts->items[i].hash, i};
    if (file) qsort(entries, texts->count, sizeof *entries, by_hash);
    bool ok = file && write_rows(file, entries, texts->count, vectors, (size_t)dimensions, model);
    if (file && fclose(file) != 0) ok = false;
    if (ok) ok = rename(temporary, path) == 0;
    if (!ok && file) {
        int reason = errno;
        remove(temporary);
        errno = reason;
    }
    free(entries);
    return ok;
}
