#include "models/heads/head.h"

const char *tuff_head_title(const tuff_head *head)
{
    return head ? head->title : "none";
}
