#include "train/entities.h"

#include <string.h>

#include "base/memory.h"

/* A label's letter, and the number of the first label with its type. */
typedef struct tuff_entity_label {
    char tag;
    size_t type;
} entity_label;

static const entity_label outside = {'O', SIZE_MAX};

static const char *type_of(const char *label)
{
    const char *type = label[0] && label[1] ? label + 2 : "";
    return *type ? type : "_";
}

bool tuff_entities_are(const char *const *labels, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const char *label = labels[i];
        if (strcmp(label, "O") == 0) continue;
        if (!*label || !strchr("BIES", *label) || (label[1] && label[1] != '-')) return false;
        any = true;
    }
    return any;
}

tuff_status tuff_entities_begin(tuff_entities *e, const char *const *labels, size_t count)
{
    *e = (tuff_entities){.labels = tuff_alloc_array(count, sizeof *e->labels)};
    if (!e->labels) return tuff_fail_memory("an evaluation");
    for (size_t i = 0; i < count; i++) {
        const char *type = type_of(labels[i]);
        size_t first = 0;
        while (strcmp(type_of(labels[first]), type) != 0)
            first++;
        e->labels[i] = (entity_label){labels[i][0], first};
    }
    return TUFF_OK;
}

void tuff_entities_end(tuff_entities *e)
{
    tuff_free(e->labels);
}

/* Whether an entity ends between two words, or begins. */
static bool is_end(entity_label before, entity_label now)
{
    if (before.tag == 'E' || before.tag == 'S') return true;
    if (before.tag != 'O' && (now.tag == 'B' || now.tag == 'S' || now.tag == 'O')) return true;
    return before.tag != 'O' && before.type != now.type;
}

static bool is_begin(entity_label before, entity_label now)
{
    if (now.tag == 'B' || now.tag == 'S') return true;
    if (now.tag == 'O') return false;
    return before.tag == 'E' || before.tag == 'S' || before.tag == 'O' || before.type != now.type;
}

/* One reading of a sequence, word by word: the label before, and where the last entity began. */
typedef struct walk {
    entity_label before;
    size_t begin;
} walk;

static void step(walk *w, entity_label now, size_t at)
{
    if (is_begin(w->before, now)) w->begin = at;
    w->before = now;
}

void tuff_entities_add(tuff_entities *e, const int32_t *pairs, size_t words)
{
    walk truth = {.before = outside}, said = {.before = outside};
    for (size_t i = 0; i <= words; i++) {
        const entity_label a = i < words ? e->labels[pairs[2 * i]] : outside,
                           b = i < words ? e->labels[pairs[2 * i + 1]] : outside;
        const bool there = is_end(truth.before, a), found = is_end(said.before, b);
        e->truth += there;
        e->said += found;
        e->right += there && found && truth.begin == said.begin && truth.before.type == said.before.type;
        step(&truth, a, i);
        step(&said, b, i);
    }
}

void tuff_entities_put(const tuff_entities *e, tuff_eval_result *out)
{
    const double right = (double)e->right, precision = e->said ? right / (double)e->said : 0,
                 recall = e->truth ? right / (double)e->truth : 0;
    tuff_eval_put(out, "entity_f1",
                  precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0);
    tuff_eval_put(out, "entity_precision", precision);
    tuff_eval_put(out, "entity_recall", recall);
}
