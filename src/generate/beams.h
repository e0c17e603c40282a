/* Beam search: several beginnings of a text are gone on with at once, and the most probable text is found
 * among those that ended. */
#ifndef TUFF_GENERATE_BEAMS_H
#define TUFF_GENERATE_BEAMS_H

#include "generate/batcher.h"

/* The text of a sequence whose settings ask for beams. Takes the batcher's cache for itself: others are fed
 * anew afterwards. Counts and ranks as transformers does. */
TUFF_MUST_USE tuff_status tuff_beams_run(tuff_batcher *batcher, tuff_sequence *sequence,
                                         const tuff_watch *watch);

/* The same for `n` sequences of one prompt and the same settings, no more than there are beams: they get the
 * best texts, the best first. */
TUFF_MUST_USE tuff_status tuff_beams_find(tuff_batcher *batcher, tuff_sequence *const *sequences, size_t n,
                                          const tuff_watch *watch);

#endif
