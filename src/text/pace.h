/* What keeps a long encoding answerable: between pieces of work of about a millisecond it tells its watch how
 * far it is and asks whether to go on. */
#ifndef TUFF_TEXT_PACE_H
#define TUFF_TEXT_PACE_H

#include <stddef.h>
#include <stdint.h>
#include <tuff/status.h>
#include <tuff/watch.h>

/* {0} asks nobody. Every function that takes one takes NULL too. */
typedef struct tuff_pace {
    const tuff_watch *watch;
    uint64_t total;       /* bytes of the text */
    uint64_t start, size; /* the part of it that is being encoded */
    size_t at, length;    /* how far that is, of how much: in what became of the part, so a share of it */
    size_t work;          /* since the watch was asked */
} tuff_pace;

/* About a millisecond of any of the steps, whose speeds differ by ten. */
enum { TUFF_PACE_WORK = 1 << 14 };

tuff_status tuff_pace_ask(tuff_pace *pace);

/* Says that `bytes` were worked on. TUFF_CANCELLED when the encoding is to end. */
static inline tuff_status tuff_pace_work(tuff_pace *pace, size_t bytes)
{
    if (!pace || (pace->work += bytes) < TUFF_PACE_WORK) return TUFF_OK;
    return tuff_pace_ask(pace);
}

#endif
