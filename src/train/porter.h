/* English words without their endings (Porter 1980), as NLTK's PorterStemmer has it with its own extensions,
 * which rouge-score takes. */
#ifndef TUFF_TRAIN_PORTER_H
#define TUFF_TRAIN_PORTER_H

#include "base/text.h"

/* Changes a word of a-z and 0-9 where it stands; it never gets longer. */
void tuff_porter_stem(char *word, size_t *size);

#endif
