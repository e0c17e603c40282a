/* Which of some names is most likely meant by one that is none of them. */
#include <string.h>

#include "cli/args.h"

enum { NAME_MAX_SIZE = 48 };

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment distance). */
static size_t edits(const char *a, const char *b)
{
    size_t table[NAME_MAX_SIZE + 1][NAME_MAX_SIZE + 1], n = strlen(a), m = strlen(b);
    if (n > NAME_MAX_SIZE || m > NAME_MAX_SIZE) return NAME_MAX_SIZE;
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            if (!i || !j) {
                table[i][j] = i + j;
                continue;
            }
            size_t best = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (table[i - 1][j] + 1 < best) best = table[i - 1][j] + 1;
            if (table[i][j - 1] + 1 < best) best = table[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                table[i - 2][j - 2] + 1 < best)
                best = table[i - 2][j - 2] + 1;
            table[i][j] = best;
        }
    return table[n][m];
}

const char *tuff_args_nearest(const char *name, size_t count, const char *(*get)(const void *user, size_t i),
                              const void *user)
{
    const char *best = NULL;
    size_t size = strlen(name), limit = size / 3 + 1, least = limit + 1;
    for (size_t i = 0; i < count; i++) {
        const char *candidate = get(user, i);
        if (!candidate) continue;
        size_t distance = edits(name, candidate);
        /* "--batch-size" for "--per-device-train-batch-size" */
        if (size >= 4 && strstr(candidate, name)) distance = distance ? 1 : 0;
        if (distance < least) {
            best = candidate;
            least = distance;
        }
    }
    return best;
}
