#include "train/mixture.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/structs.h"
#include "train/tasks/sft.h"

void tuff_mixture_free(tuff_mixture *m)
{
    if (!m) return;
    tuff_free(m->starts);
    tuff_free(m->shares);
    tuff_free(m);
}

static int64_t size_of(const tuff_mixture *m, size_t part)
{
    return m->starts[part + 1] - m->starts[part];
}

int64_t tuff_mixture_largest(const tuff_mixture *m)
{
    int64_t most = 0;
    for (size_t i = 0; i < m->parts; i++)
        if (size_of(m, i) > most) most = size_of(m, i);
    return most;
}

void tuff_mixture_hash(const tuff_mixture *m, tuff_sha256 *hash)
{
    tuff_sha256_update(hash, m->starts, (m->parts + 1) * sizeof *m->starts);
    tuff_sha256_update(hash, m->shares, m->parts * sizeof *m->shares);
}

/* ---- the order of an epoch */

/* The part whose share is furthest behind at place `at`, of which `taken` are there. */
static size_t next_part(const tuff_mixture *m, int64_t at, const int64_t *taken)
{
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < m->parts; i++) {
        const double behind = (double)m->shares[i] * (double)(at + 1) / (double)m->epoch - (double)taken[i];
        if (taken[i] < m->shares[i] && behind > most) {
            most = behind;
            best = i;
        }
    }
    return best;
}

enum { MOST_PARTS = 64 };

static void take_turns(const tuff_mixture *m, int64_t epoch, uint32_t *out)
{
    int64_t taken[MOST_PARTS] = {0};
    for (int64_t at = 0; at < m->epoch; at++) {
        const size_t i = next_part(m, at, taken);
        out[at] = (uint32_t)(m->starts[i] + (epoch * m->shares[i] + taken[i]) % size_of(m, i));
        taken[i]++;
    }
}

void tuff_mixture_order(const tuff_mixture *m, uint64_t seed, int64_t epoch, bool shuffled, uint32_t *room,
                        uint32_t *out)
{
    int64_t at = 0;
    if (!shuffled) {
        take_turns(m, epoch, out);
        return;
    }
    for (size_t i = 0; i < m->parts; i++) {
        const int64_t n = size_of(m, i);
        for (int64_t k = 0, made = -1; k < m->shares[i]; k++) {
            const int64_t place = epoch * m->shares[i] + k, pass = place / n;
            if (pass != made) {
                for (int64_t e = 0; e < n; e++)
                    room[e] = (uint32_t)(m->starts[i] + e);
                tuff_rng_shuffle(room, (uint32_t)n, seed, (uint32_t)pass, TUFF_STREAM_MIXTURE + (uint32_t)i);
                made = pass;
            }
            out[at++] = room[place % n];
        }
    }
    tuff_rng_shuffle(out, (uint32_t)m->epoch, seed, (uint32_t)epoch, TUFF_STREAM_SHUFFLE);
}

/* ---- how many of each */

/* What is left of a share when whole examples are taken; below a millionth it is rounding. */
static double rest_of(double share)
{
    const double rest = share - floor(share + 1e-6);
    return rest > 0 ? rest : 0;
}

/* The examples of an epoch, and of each part as near to its weight as whole numbers are. */
static tuff_status share_out(tuff_mixture *m, const double *weights, bool all)
{
    double sum = 0, epoch = all ? 0 : INFINITY;
    for (size_t i = 0; i < m->parts; i++)
        sum += weights[i];
    for (size_t i = 0; i < m->parts; i++) {
        const double lasts = (double)size_of(m, i) * sum / weights[i];
        if (all ? lasts > epoch : lasts < epoch) epoch = lasts;
    }
    if (epoch > (double)INT32_MAX)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "an epoch of the mixture would have %.0f examples, expected up to %d: its weights are "
            "too far from the sizes of its parts",
            epoch, INT32_MAX);
    m->epoch = (int64_t)(all ? ceil(epoch - 1e-6) : floor(epoch + 1e-6));
    double rests[MOST_PARTS] = {0};
    int64_t left = m->epoch;
    for (size_t i = 0; i < m->parts; i++) {
        const double share = (double)m->epoch * weights[i] / sum;
        m->shares[i] = (int64_t)floor(share + 1e-6);
        rests[i] = rest_of(share);
        left -= m->shares[i];
    }
    for (; left > 0; left--) {
        size_t best = 0;
        for (size_t i = 1; i < m->parts; i++)
            if (rests[i] > rests[best]) best = i;
        m->shares[best]++;
        rests[best] = -1;
    }
    for (size_t i = 0; i < m->parts; i++)
        if (!m->shares[i])
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "an epoch of the mixture has %lld examples, and none of them is of part %zu: its "
                "weight of %g is too small",
                (long long)m->epoch, i + 1, weights[i]);
    return TUFF_OK;
}

/* ---- one data set of several */

static bool is_text(const tuff_dataset *data)
{
    return data->task == &tuff_task_causal_lm;
}

/* The task of all: that of the parts, which may be texts beside conversations. */
static tuff_status find_task(const tuff_dataset *const *parts, size_t n, const tuff_task **out)
{
    *out = parts[0]->task;
    for (size_t i = 0; i < n; i++) {
        const tuff_task *task = parts[i]->task;
        if (*out == &tuff_task_causal_lm && task == &tuff_task_sft) *out = task;
        if (task == *out || (*out == &tuff_task_sft && is_text(parts[i]))) continue;
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "part %zu of the mixture is of %s, part 1 of %s: parts have one task, or are texts and "
            "conversations",
            i + 1, task->title, parts[0]->task->title);
    }
    if ((*out)->join || *out == &tuff_task_causal_lm) return TUFF_OK;
    return tuff_fail(TUFF_UNSUPPORTED, "data of %s that an application gives cannot be mixed", (*out)->title);
}

/* Texts in blocks, of which those that are not full are left out. */
static tuff_status join_texts(const tuff_dataset *const *parts, size_t n, tuff_dataset **out)
{
    const int64_t block = parts[0]->block_size;
    int64_t blocks = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i]->block_size != block)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "part %zu of the mixture has blocks of %lld tokens, part 1 of %lld", i + 1,
                             (long long)parts[i]->block_size, (long long)block);
        blocks += tuff_dataset_blocks(parts[i]);
    }
    int32_t *ids = tuff_alloc_array((size_t)(blocks * block), sizeof *ids);
    if (!ids) return tuff_fail_memory("a mixture");
    for (size_t i = 0; i < n; i++)
        for (int64_t b = 0; b < tuff_dataset_blocks(parts[i]); b++, at += block)
            memcpy(ids + at, parts[i]->ids + tuff_dataset_block_begin(parts[i], (uint32_t)b),
                   (size_t)block * sizeof *ids);
    const tuff_status status = tuff_dataset_from_ids(ids, (size_t)at, block, out);
    tuff_free(ids);
    return status;
}

/* A text's blocks as conversations of which everything is learned. */
static tuff_status add_blocks(tuff_dataset *into, const tuff_dataset *part)
{
    const int64_t block = part->block_size;
    for (int64_t b = 0; b < tuff_dataset_blocks(part); b++) {
        TUFF_TRY(tuff_sft_learn_all(into, block));
        TUFF_TRY(tuff_dataset_add(into, part->ids + tuff_dataset_block_begin(part, (uint32_t)b), NULL,
                                  (size_t)block));
    }
    return TUFF_OK;
}

static tuff_status add_sequences(tuff_dataset *into, const tuff_dataset *part)
{
    for (int64_t i = 0; i < part->sequences; i++) {
        const int64_t begin = part->starts[i], n = part->starts[i + 1] - begin;
        TUFF_TRY(
            tuff_dataset_add(into, part->ids + begin, part->types ? part->types + begin : NULL, (size_t)n));
    }
    return TUFF_OK;
}

static tuff_status join_examples(const tuff_dataset *const *parts, size_t n, int64_t *starts,
                                 tuff_dataset *into)
{
    for (size_t i = 0; i < n; i++) {
        const tuff_dataset *part = parts[i];
        const bool text = is_text(part);
        if (!text) TUFF_TRY(tuff_note(into->task->join(into, part), "part %zu of the mixture", i + 1));
        if (text && !into->own) TUFF_TRY(tuff_sft_begin(into));
        TUFF_TRY(text ? add_blocks(into, part) : add_sequences(into, part));
        into->cut += part->cut;
        into->malformed += part->malformed;
        into->empty += part->empty;
        into->unanswered += part->unanswered;
        into->windows_lines += part->windows_lines;
        if (part->longest > into->longest) into->longest = part->longest;
        starts[i + 1] = starts[i] + tuff_dataset_blocks(part);
    }
    return into->task == &tuff_task_sft ? tuff_sft_join_rows(into, parts, n) : TUFF_OK;
}

static tuff_status join(const tuff_dataset *const *parts, size_t n, const tuff_task *task, int64_t *starts,
                        tuff_dataset **out)
{
    if (task == &tuff_task_causal_lm) {
        for (size_t i = 0; i < n; i++)
            starts[i + 1] = starts[i] + tuff_dataset_blocks(parts[i]);
        return join_texts(parts, n, out);
    }
    *out = tuff_alloc(sizeof **out);
    if (!*out) return tuff_fail_memory("a mixture");
    (*out)->task = task;
    return join_examples(parts, n, starts, *out);
}

static tuff_status check_parts(const tuff_dataset *const *parts, const double *weights, size_t n)
{
    if (n < 1 || n > MOST_PARTS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a mixture has %zu parts, expected 1 to %d", n, MOST_PARTS);
    for (size_t i = 0; i < n; i++) {
        if (!(weights[i] > 0 && weights[i] < 1e9))
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "the weight of part %zu of the mixture is %g, expected a number above 0", i + 1,
                             weights[i]);
        if (parts[i]->mixture)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "part %zu of the mixture is a mixture itself", i + 1);
    }
    return TUFF_OK;
}

static tuff_status mix(const tuff_dataset *const *parts, const double *weights, size_t n, bool all,
                       tuff_dataset **out)
{
    const tuff_task *task = NULL;
    TUFF_TRY(find_task(parts, n, &task));
    tuff_mixture *m = tuff_alloc(sizeof *m);
    if (!m) return tuff_fail_memory("a mixture");
    *m = (tuff_mixture){.parts = n,
                        .starts = tuff_alloc_array(n + 1, sizeof *m->starts),
                        .shares = tuff_alloc_array(n, sizeof *m->shares)};
    tuff_status status = m->starts && m->shares ? TUFF_OK : tuff_fail_memory("a mixture");
    if (status == TUFF_OK) status = join(parts, n, task, m->starts, out);
    for (size_t i = 0; i < n && status == TUFF_OK; i++)
        if (!size_of(m, i))
            status = tuff_fail(TUFF_INVALID_ARGUMENT, "part %zu of the mixture has no example", i + 1);
    if (status == TUFF_OK) status = share_out(m, weights, all);
    if (status == TUFF_OK)
        (*out)->mixture = m;
    else
        tuff_mixture_free(m);
    return status;
}

tuff_status tuff_dataset_mix(const tuff_dataset *const *parts, const double *weights, size_t n,
                             tuff_mixture_end end, tuff_dataset **out_dataset)
{
    TUFF_NEED_OUT(out_dataset);
    TUFF_NEED(parts);
    TUFF_NEED(weights);
    for (size_t i = 0; i < n && i < MOST_PARTS; i++)
        TUFF_NEED(parts[i]);
    TUFF_TRY(check_parts(parts, weights, n));
    if (end != TUFF_MIXTURE_ALL_EXHAUSTED && end != TUFF_MIXTURE_FIRST_EXHAUSTED)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the end of an epoch of a mixture is %d, expected 0 or 1",
                         (int)end);
    const tuff_status status = mix(parts, weights, n, end == TUFF_MIXTURE_ALL_EXHAUSTED, out_dataset);
    if (status != TUFF_OK) tuff_dataset_destroy(out_dataset);
    return status;
}

bool tuff_dataset_mixed(const tuff_dataset *data, size_t index, int64_t *out_examples, int64_t *out_of_epoch)
{
    if (!data || !out_examples || !out_of_epoch || !data->mixture || index >= data->mixture->parts)
        return false;
    *out_examples = size_of(data->mixture, index);
    *out_of_epoch = data->mixture->shares[index];
    return true;
}
