"""Which tokens a masked language model does not see, as Tuff draws them: for scripts of any version of transformers."""


def philox(key, position, step, stream):
    """Philox4x32-10 (Salmon et al. 2011)."""
    v = [position & 0xFFFFFFFF, position >> 32, step, stream]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * v[0], 0xCD9E8D57 * v[2]
        v = [(b >> 32) ^ v[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ v[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return v


def hide(tokenizer, ids, number, seed):
    """What a masked language model sees of an example, and what it is to find."""
    seen, labels = list(ids), [-100] * len(ids)
    for place, token in enumerate(ids):
        drawn = philox(seed, number, place, 0x07000000)
        if token in tokenizer.all_special_ids or drawn[0] >= 0.15 * 2**32:
            continue
        labels[place] = token
        if drawn[1] < 0.8 * 2**32:
            seen[place] = tokenizer.mask_token_id
        elif drawn[1] < 0.9 * 2**32:
            seen[place] = drawn[2] * len(tokenizer) >> 32
            if seen[place] == tokenizer.pad_token_id:
                raise SystemExit("choose a seed that puts no padding among the words: its row gets no gradient in PyTorch")
    return seen, labels


def numbers_of(step, examples, batch):
    """Those of a step's examples in the endless sequence: an epoch's last batch is what is left."""
    epoch, at = divmod(step, -(-examples // batch))
    return range(epoch * examples, (epoch + 1) * examples)[batch * at :][:batch]
