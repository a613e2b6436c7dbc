"""Planted mistakes of assignment 7, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

BOTH = "both = (row[j][0] + (said != written), row[j][1])"
DELETION = "deletion = (row[j + 1][0] + 1, row[j + 1][1] + 1)"
COUNTED = "return cost - gaps, deletions, gaps - deletions"
ADDED = "errors += sum(count_edits(reference.split(), hypothesis.split()))"
RATE = "return errors / words\n"
HALVED = "n = (n + 1) // 2\n"
HIDDEN = "x = x.masked_fill(~valid[:, None, :, None], 0)\n                valid"
RELU = "x = conv(x).relu()"
SHRUNK = "valid = valid[:, ::2]\n"
FLAT = "return self.project(x.transpose(1, 2).flatten(2)), valid"
OVER_TIME = "over_time = attend(q, k, v, valid)"
ZEROED = "q, k, v = (x.masked_fill(~valid[:, None, :, None], 0) for x in (q, k, v))\n        frames"
FRAMES = "frames = valid.sum(dim=1)[:, None, None, None].to(q.dtype)"
ACROSS = "weights = (q.mT @ k / frames.sqrt()).softmax(dim=-1)"
BACK = "over_frequency = (weights @ v.mT).mT\n    #:"
JOINED = "return joined if valid is None else joined.masked_fill(~valid[:, None, :, None], 0)"
LOWER = "return torch.ones(length, length, dtype=torch.bool).tril()"
FOUND = "found = (self.query(x), self.key(memory), self.value(memory))"
SCORES = "scores = q @ k.mT / math.sqrt(q.shape[-1])"
HIDE = "scores = scores.masked_fill(~mask, -math.inf)"
SELF = "y = y + self.self_attention(z, z, causal_mask(y.shape[1]).to(y.device))"
CROSS = "y = y + self.cross_attention(self.norm_cross(y), memory, mask)"
FEED = "return y + self.contract(self.expand(self.norm_feed_forward(y)).relu())"
INPUTS = "inputs[b, 0], inputs[b, 1 : len(text) + 1] = SOS, text"
WANTED = "wanted[b, : len(text)], wanted[b, len(text)] = text, EOS"
COUNTS = "log_p = logits[counts].log_softmax(dim=-1)"
ANYTHING = "anything = -log_p.mean(dim=-1)"
SUM = "return ((1 - smoothing) * right + smoothing * anything).mean()"
MERGED = "return [symbol for symbol in torch.unique_consecutive(path).tolist() if symbol != 0]"
NEEDED = "return len(text) + int((text[1:] == text[:-1]).sum())"
SKIPS = "skips[3::2] = text[1:] != text[:-1]"
FIRST = "alpha[:2] = log_p[0, symbols[:2]]"
SUMMED = "alpha = torch.stack([alpha, step, skip]).logsumexp(dim=0) + row[symbols]"
LAST = "return -alpha[-2:].logsumexp(dim=0)"
BEST = "best = step(symbols).argmax(dim=-1).masked_fill(ended, EOS)"
ENDED = "ended = ended | (best == EOS)\n        if ended.all():"
ROWS = "rows = symbols[:, 1:].tolist()\n"
CUT = "return [row[: row.index(EOS)] if EOS in row else row for row in rows]"
START = "living, ended = [([], 0.0)], []"
OWN = "scores = scores + own[:, None]"
BONUS = "scores = scores + length_weight * (torch.arange(scores.shape[1]) != EOS)"
TOP = "best = scores.flatten().topk(min(width, scores.numel()))"
ASIDE = "ended.append((living[row][0], score))"
LIVING = "        if not living:\n"
CHOSEN = "return max(ended or living, key=lambda one: one[1])"
BEFORE = "before = prefix_scores(text[:-1])[text[-1]] if text else 0.0"
WEIGHED = "return (1 - weight) * step(symbols) + weight * torch.stack(changes)"
POSITIONS = "y = self.positions(self.embed(symbols))"
LAYERS = "            y = layer(y, memory, valid)\n        return self.write"
ENCODED = "return self.encoder(self.positions(x), valid), valid"
STACK = "nn.ModuleList(DecoderLayer(d_model, num_heads, d_ff) for _ in range(2))"
FRAMES_LEFT = "frames = torch.tensor([subsampled(int(n)) for n in valid.sum(dim=1)])"
JOINT = "return ctc_weight * ctc + (1 - ctc_weight) * attention"
SMOOTHED = "attention = smoothed_loss(logits, wanted, 0.1)"
LOSS = "ctc = F.ctc_loss(log_p, torch.cat(texts), frames, lengths)"

# fmt: off
MISTAKES = [
    Mistake(
        task="7.1", name="a substitution costs 2",
        question="a substitution costs 1, as a deletion does", replace=BOTH,
        by=BOTH.replace("(said", "2 * (said")),
    Mistake(
        task="7.1", name="any of the shortest ways",
        question="of equally short ways, is it the one with the fewest gaps?", replace=BOTH,
        by=BOTH.replace("row[j][1])", "row[j][1] + 2 * (said != written))"),
        also=((COUNTED, "S = max(0, cost - gaps)\n    return S, deletions, gaps - deletions"),)),
    Mistake(
        task="7.1", name="reference and hypothesis exchanged",
        question="which is a deletion: a word that was said, or one that was written?",
        replace=COUNTED, by="return cost - gaps, gaps - deletions, deletions"),
    Mistake(
        task="7.1", name="no deletions", question="is a word of the reference ever left out?",
        replace=DELETION, by="deletion = (row[j + 1][0] + 9, row[j + 1][1] + 9)"),
    Mistake(
        task="7.1", name="letters instead of words",
        question="words are counted, not letters: are the texts split?", replace=ADDED,
        by="errors += sum(count_edits(reference, hypothesis))"),
    Mistake(
        task="7.1", name="mean of the rates",
        question="divide the sum of all errors by the sum of all words, once", replace=ADDED,
        by="errors += sum(count_edits(reference.split(), hypothesis.split())) / "
        "max(1, len(reference.split()))",
        also=((RATE, "return errors / len(references)\n"),)),
    Mistake(
        task="7.1", name="divided by the hypothesis",
        question="the rate is per word of the reference: of which text are the words counted?",
        replace="words += len(reference.split())", by="words += len(hypothesis.split())"),
    Mistake(
        task="7.1", name="at most 1", question="a word error rate may be above 1: is it capped?",
        replace=RATE, by="return min(1.0, errors / words)\n"),
    Mistake(
        task="7.2", name="rounded down", question="5 frames leave 3: is it rounded up?",
        replace=HALVED, by="n = n // 2\n"),
    Mistake(
        task="7.2", name="one convolution",
        question="two convolutions leave a quarter: is it half?",
        replace="for _ in range(2):\n        n", by="for _ in range(1):\n        n"),
    Mistake(
        task="7.2", name="padding not zero before the convolutions",
        question="is the padding set to zero before each of the two convolutions?",
        replace=HIDDEN, by="valid"),
    Mistake(
        task="7.2", name="padding zero before the first convolution only",
        question="after the first convolution padded frames are not zero any more: and before the "
        "second?", replace=HIDDEN, by="if x.shape[1] == 1:\n                    "
        "x = x.masked_fill(~valid[:, None, :, None], 0)\n                valid"),
    Mistake(
        task="7.2", name="masked by multiplying",
        question="NaN times 0 is NaN: fill the padding in place of multiplying it",
        replace=HIDDEN, by="x = x * valid[:, None, :, None]\n                valid"),
    Mistake(
        task="7.2", name="mask from the second frame",
        question="output t is real where frame 2t is: does the mask begin with frame 0?",
        replace=SHRUNK, by="valid = F.pad(valid[:, 1::2], (0, x.shape[2] % 2))\n"),
    Mistake(
        task="7.2", name="mask not shrunk for the linear layer",
        question="does the mask shrink with each of the two convolutions?",
        replace=FLAT, by="return self.project(x.transpose(1, 2).flatten(2)), "
        "None if valid is None else valid[:, ::2]"),
    Mistake(
        task="7.2", name="bands before channels",
        question="a frame's vector has channel after channel: is the order of the axes right?",
        replace=FLAT, by=FLAT.replace("x.transpose(1, 2)", "x.permute(0, 2, 3, 1)")),
    Mistake(
        task="7.2", name="a reshape alone",
        question="a reshape alone mixes frames and channels: transpose the axes first",
        replace=FLAT, by=FLAT.replace("x.transpose(1, 2).flatten(2)",
        "x.reshape(x.shape[0], x.shape[2], -1)")),
    Mistake(
        task="7.2", name="no ReLU", question="is there a ReLU after each convolution?",
        replace="x = conv(x).relu()", by="x = conv(x)"),
    Mistake(
        task="7.2", name="ReLU after the first only", question="is there a ReLU after the second "
        "convolution, too?", replace=RELU,
        by="x = conv(x).relu() if conv is self.first else conv(x)"),
    Mistake(
        task="7.2", name="GELU", question="is the activation ReLU?", replace=RELU,
        by="x = F.gelu(conv(x))"),
    Mistake(
        task="7.2", name="ReLU at the end, too", question="nothing follows the linear layer",
        replace=FLAT, by=FLAT.replace("flatten(2))", "flatten(2)).relu()")),
    Mistake(
        task="7.3", name="not transposed back",
        question="is the result over frequency transposed back?", replace=BACK,
        by="over_frequency = (weights @ v.mT).reshape(v.shape)\n    #:"),
    Mistake(
        task="7.3", name="no mask over time", question="over time, padded frames are keys: does "
        "attend get valid?", replace=OVER_TIME, by="over_time = attend(q, k, v)"),
    Mistake(
        task="7.3", name="no zeros over frequency",
        question="over frequency, padded frames add to every dot product: are they zero?",
        replace=ZEROED, by="frames"),
    Mistake(
        task="7.3", name="root of the padded frames",
        question="under the root stand the real frames of each utterance: is it the padded T?",
        replace=FRAMES, by="frames = torch.tensor(float(q.shape[2]))"),
    Mistake(
        task="7.3", name="root of the bands", question="over frequency the features are frames: "
        "are the scores divided by the root of the frames, not of the bands?", replace=ACROSS,
        by=ACROSS.replace("frames.sqrt()", "q.shape[3] ** 0.5")),
    Mistake(
        task="7.3", name="softmax over queries",
        question="the softmax runs over keys, the last axis", replace=ACROSS,
        by=ACROSS.replace("dim=-1", "dim=-2")),
    Mistake(
        task="7.3", name="frequency first",
        question="which comes first along the channels: time, then frequency?",
        replace="torch.cat([over_time, over_frequency], dim=1)",
        by="torch.cat([over_frequency, over_time], dim=1)"),
    Mistake(
        task="7.3", name="padded frames left", question="padded frames of the output are zero",
        replace=JOINED, by="return joined"),
    Mistake(
        task="7.3", name="softmax over queries in time",
        question="over time, too, the softmax runs over keys", replace=OVER_TIME,
        by="over_time = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-2) @ v"),
    Mistake(
        task="7.3", name="no root over frequency",
        question="the root of the real frames divides: is the root missing?", replace=ACROSS,
        by=ACROSS.replace("frames.sqrt()", "frames")),
    Mistake(
        task="7.3", name="float32 whatever comes",
        question="the result has the dtype of q: is a tensor in between made as float32?",
        replace="torch.cat([over_time, over_frequency], dim=1)",
        by="torch.cat([over_time, over_frequency], dim=1).float()"),
    Mistake(
        task="7.4", name="looks ahead",
        question="a place looks back, not ahead: is the mask upside "
        "down?", replace=LOWER, by=LOWER.replace("tril", "triu")),
    Mistake(
        task="7.4", name="does not look at itself",
        question="a place looks at itself, too: the first one has nothing else", replace=LOWER,
        by=LOWER.replace("tril()", "tril(-1)")),
    Mistake(
        task="7.4", name="self-attention without a mask",
        question="does the self-attention get the causal mask?", replace=SELF,
        by="y = y + self.self_attention(z, z)"),
    Mistake(
        task="7.4", name="no mask", question="does the mask hide anything?", replace=LOWER,
        by=LOWER.replace(".tril()", "")),
    Mistake(
        task="7.4", name="queries from the memory",
        question="queries come from the text, keys and values from the memory: are they exchanged?",
        replace=FOUND, by="found = (self.query(memory), self.key(x), self.value(x))"),
    Mistake(
        task="7.4", name="values from x", question="what is averaged: the memory, or x?",
        replace=FOUND, by=FOUND.replace("self.value(memory)", "self.value(x)")),
    Mistake(
        task="7.4", name="no root in cross-attention",
        question="are the scores divided by the root of K?", replace=SCORES,
        by="scores = q @ k.mT"),
    Mistake(
        task="7.4", name="mask upside down",
        question="the mask is True where a place may look: is it upside down?", replace=HIDE,
        by=HIDE.replace("~mask", "mask")),
    Mistake(
        task="7.4", name="mask not used", question="is the mask used?", replace=HIDE, by="pass"),
    Mistake(
        task="7.4", name="heads merged by a reshape",
        question="transpose the axes back before you join the heads",
        replace="return self.out(y.transpose(1, 2).flatten(2))",
        by="return self.out(y.reshape(x.shape))"),
    Mistake(
        task="7.4", name="memory without a mask",
        question="does the cross-attention get the mask of the memory's padding?", replace=CROSS,
        by=CROSS.replace(", mask)", ")")),
    Mistake(
        task="7.4", name="one attention for both",
        question="is the same attention used twice? Each has weights of its own",
        replace=CROSS, by=CROSS.replace("self.cross_attention", "self.self_attention")),
    Mistake(
        task="7.4", name="memory normalized again",
        question="the memory is normalized by the encoder already: is it again?", replace=CROSS,
        by=CROSS.replace("memory, mask", "self.norm_cross(memory), mask")),
    Mistake(
        task="7.4", name="post-norm",
        question="pre-norm: the input of each sublayer is normalized, "
        "not the sum", replace="z = self.norm_self(y)", by="z = y",
        also=((SELF, SELF.replace("= y", "= self.norm_self(y") + ")"),)),
    Mistake(
        task="7.4", name="no residual connection around cross-attention",
        question="does each sublayer have a residual connection (y + …)?", replace=CROSS,
        by=CROSS.replace("y + ", "")),
    Mistake(
        task="7.4", name="no activation", question="is there a ReLU between the two linear layers?",
        replace=FEED, by=FEED.replace(".relu()", "")),
    Mistake(
        task="7.4", name="two norms",
        question="does each of the three sublayers have its own norm?",
        replace=FEED, by=FEED.replace("norm_feed_forward", "norm_cross")),
    Mistake(
        task="7.4", name="root of the width",
        question="K is the width of one head: is it the root of D?", replace=SCORES,
        by=SCORES.replace("q.shape", "x.shape")),
    Mistake(
        task="7.4", name="text not normalized for cross-attention",
        question="is the text normalized before each sublayer, cross-attention too?", replace=CROSS,
        by=CROSS.replace("self.norm_cross(y)", "y")),
    Mistake(
        task="7.4", name="feed-forward not normalized",
        question="is the text normalized before the feed-forward network?", replace=FEED,
        by=FEED.replace("self.norm_feed_forward(y)", "y")),
    Mistake(
        task="7.4", name="GELU in the feed-forward network", question="is the activation ReLU?",
        replace=FEED,
        by="return y + self.contract(F.gelu(self.expand(self.norm_feed_forward(y))))"),
    Mistake(
        task="7.4", name="a norm at the end", question="the sum itself goes on: is it normalized?",
        replace=FEED, by=FEED.replace("return y", "y = y")
        + "\n        return F.layer_norm(y, y.shape[-1:])"),
    Mistake(
        task="7.5", name="no shift", question="inputs are one place late: is the wanted symbol in "
        "the input?", replace=INPUTS, by="inputs[b, : len(text)] = text"),
    Mistake(
        task="7.5", name="no end", question="is the end asked for, behind the last letter?",
        replace=WANTED, by="wanted[b, : len(text)] = text"),
    Mistake(
        task="7.5", name="the end behind the longest text",
        question="each text has its own end, right behind its last letter", replace=WANTED,
        by="wanted[b, : len(text)], wanted[b, -1] = text, EOS"),
    Mistake(
        task="7.5", name="padding counted",
        question="places with -100 do not count: is the padding "
        "asked for?", replace="wanted = torch.full((len(texts), longest + 1), -100)",
        by="wanted = torch.full((len(texts), longest + 1), EOS)"),
    Mistake(
        task="7.5", name="spread over the wrong symbols only",
        question="the smoothing is spread over all V symbols, the wanted one among them",
        replace=ANYTHING,
        by="anything = -(log_p.sum(dim=-1) + right) / (log_p.shape[1] - 1)"),
    Mistake(
        task="7.5", name="a sum over all symbols",
        question="epsilon is spread evenly over the V symbols: is it the mean of their losses, or "
        "the sum?",
        replace=ANYTHING,
        by=ANYTHING.replace("mean", "sum")),
    Mistake(
        task="7.5", name="divided by all places",
        question="the mean runs over the places that count: is it divided by all of them?",
        replace=SUM, by=SUM.replace(".mean()", ".sum() / wanted.numel()")),
    Mistake(
        task="7.5", name="no smoothing", question="is the smoothing used?", replace=SUM,
        by="return right.mean()"),
    Mistake(
        task="7.5", name="softmax, then the logarithm",
        question="for large logits log(softmax) becomes infinite: is there a log_softmax?",
        replace=COUNTS, by="log_p = logits[counts].softmax(dim=-1).log()"),
    Mistake(
        task="7.5", name="no share of epsilon for the wanted symbol",
        question="epsilon is spread over all symbols: does the wanted one get its share, too?",
        replace=ANYTHING,
        by="anything = -log_p.mean(dim=-1) - right / log_p.shape[1]"),
    Mistake(
        task="7.5", name="mean of the texts' means",
        question="the mean over all places, not of the means of the texts", replace=SUM,
        by="each = ((1 - smoothing) * right + smoothing * anything).split(counts.sum(1).tolist())\n"
        "    return torch.stack([part.mean() for part in each]).mean()"),
    Mistake(
        task="7.6", name="blanks first",
        question="merge what is repeated first, then remove blanks",
        replace=MERGED, by="return torch.unique_consecutive(path[path != 0]).tolist()"),
    Mistake(
        task="7.6", name="blanks kept", question="are the blanks removed?", replace=MERGED,
        by="return torch.unique_consecutive(path).tolist()"),
    Mistake(
        task="7.6", name="nothing merged", question="is what is repeated merged?", replace=MERGED,
        by="return path[path != 0].tolist()"),
    Mistake(
        task="7.6", name="blanks everywhere",
        question="blanks are needed between equal neighbors only", replace=NEEDED,
        by="return 2 * len(text) + 1"),
    Mistake(
        task="7.6", name="repeats forgotten",
        question="a blank has to stand between equal neighbors: how many pairs are there?",
        replace=NEEDED, by="return len(text)"),
    Mistake(
        task="7.6", name="skips between equal letters",
        question="no skip over the blank between two equal letters", replace=SKIPS,
        by="skips[3::2] = True"),
    Mistake(
        task="7.6", name="no skips", question="may a path leave out the blank between two letters?",
        replace=SKIPS, by="pass"),
    Mistake(
        task="7.6", name="skips over letters",
        question="a skip leads from letter to letter: does one lead over a letter?", replace=SKIPS,
        by="skips[2:] = True"),
    Mistake(
        task="7.6", name="begins with a blank", question="the first frame may say the first letter",
        replace=FIRST, by="alpha[:1] = log_p[0, symbols[:1]]"),
    Mistake(
        task="7.6", name="ends in a blank", question="a path may end in the last letter, too",
        replace=LAST, by="return -alpha[-1]"),
    Mistake(
        task="7.6", name="ends in a letter", question="a path may end in a blank, too",
        replace=LAST,
        by="return -alpha[-2]"),
    Mistake(
        task="7.6", name="the best path", question="paths are summed: is the best one taken?",
        replace=SUMMED, by=SUMMED.replace("logsumexp(dim=0)", "amax(dim=0)")),
    Mistake(
        task="7.6", name="probabilities in place of logarithms",
        question="hundreds of factors underflow: does the recursion stay in logarithms?",
        replace=FIRST, by="alpha = alpha.exp()\n    alpha[:2] = log_p[0, symbols[:2]].exp()",
        also=(("step = torch.cat([alpha.new_full((1,), -math.inf), alpha[:-1]])",
            "step = torch.cat([alpha.new_zeros(1), alpha[:-1]])"),
            ("skip = torch.cat([alpha.new_full((2,), -math.inf), alpha[:-2]])",
            "skip = torch.cat([alpha.new_zeros(2), alpha[:-2]])"),
            ("skip = skip.masked_fill(~skips, -math.inf)", "skip = skip * skips"),
            (SUMMED, "alpha = (alpha + step + skip) * row[symbols].exp()"),
            (LAST, "return -alpha[-2:].sum().log()"))),
    Mistake(
        task="7.6", name="the sign", question="a loss is *minus* the log-probability", replace=LAST,
        by=LAST.replace("-alpha[", "alpha[")),
    Mistake(
        task="7.6", name="a blank between equal symbols anywhere",
        question="equal neighbors only: a symbol that comes again later needs no blank",
        replace=NEEDED, by="return 2 * len(text) - len(set(text.tolist()))"),
    Mistake(
        task="7.6", name="divided by the length",
        question="the loss of the text, not of a symbol: is it divided by the length?",
        replace=LAST, by=LAST + " / len(text)"),
    Mistake(
        task="7.7", name="all stop at the first end",
        question="do all rows stop at the first end? Each has its own", replace=ENDED,
        by=ENDED.replace("ended.all()", "ended.any()")),
    Mistake(
        task="7.7", name="goes on to the longest", question="is there a stop once all have ended?",
        replace=ENDED, by=ENDED.replace("ended.all()", "False")),
    Mistake(
        task="7.7", name="the start returned", question="is the start left out?", replace=ROWS,
        by="rows = symbols.tolist()\n"),
    Mistake(
        task="7.7", name="the end returned", question="is the end left out?", replace=CUT,
        by=CUT.replace("row.index(EOS)]", "row.index(EOS) + 1]")),
    Mistake(
        task="7.7", name="one symbol too few", question="is one symbol missing at the longest?",
        replace="    for _ in range(longest):\n        #: The best next",
        by="    for _ in range(longest - 1):\n        #: The best next"),
    Mistake(
        task="7.7", name="rows that go on after their end",
        question="what stands behind a row's first end does not count", replace=CUT,
        by="return [[symbol for symbol in row if symbol != EOS] for row in rows]",
        also=((BEST, "best = step(symbols).argmax(dim=-1)"),)),
    Mistake(
        task="7.7", name="an ended row gets other symbols",
        question="behind the end of a row, does step get ends?", replace=BEST,
        by="best = step(symbols).argmax(dim=-1)",
        also=((CUT, "ends = [row.index(EOS) if EOS in row else len(row) for row in rows]\n"
            "    return [row[:end] for row, end in zip(rows, ends, strict=True)]"),)),
    Mistake(
        task="7.8", name="scores not added up",
        question="is each text's own score added to those of its next symbols?", replace=OWN,
        by="pass"),
    Mistake(
        task="7.8", name="probabilities added",
        question="logarithms are added: are these probabilities?", replace=OWN,
        by=OWN.replace("scores + own", "scores.exp() + own")),
    Mistake(
        task="7.8", name="the best of each text",
        question="the best `width` of all continuations: are those of each text kept?",
        replace=TOP, by="best = scores.flatten().topk(min(len(living) * width, scores.numel()))"),
    Mistake(
        task="7.8", name="ended texts dropped", question="are ended texts set aside, and kept?",
        replace=ASIDE, by="pass"),
    Mistake(
        task="7.8", name="ended texts live on", question="is an ended text continued?",
        replace="            if symbol == EOS:\n                ended",
        by="            if symbol == EOS and score > -math.inf:\n"
        "                found.append(([*living[row][0], EOS], score))\n                ended"),
    Mistake(
        task="7.8", name="the end returned in the text",
        question="is the end left out of the text?",
        replace=ASIDE, by="ended.append(([*living[row][0], symbol], score))"),
    Mistake(
        task="7.8", name="the bonus for the end, too",
        question="the end is not a symbol of the text: does it get the length weight?",
        replace=BONUS, by="scores = scores + length_weight"),
    Mistake(
        task="7.8", name="no bonus", question="is the length weight used?", replace=BONUS,
        by="pass"),
    Mistake(
        task="7.8", name="the first ended, not the best",
        question="a text that ends later may still come out ahead: is it waited for?",
        replace=CHOSEN,
        by="return (ended or living)[0]"),
    Mistake(
        task="7.8", name="unfinished texts compete",
        question="a text that has not ended counts only where none has", replace=CHOSEN,
        by=CHOSEN.replace("ended or living", "ended + living")),
    Mistake(
        task="7.8", name="a width of 0 taken for 1",
        question="what should a width of 0 raise? Not an answer", replace=START,
        by="width = max(1, width)\n    " + START,
        also=(("    if width < 1:\n        raise", "    if False:\n        raise"),)),
    Mistake(
        task="7.8", name="psi itself, not its change",
        question="scores are added up: what does a symbol *change* of psi?", replace=BEFORE,
        by="before = 0.0"),
    Mistake(
        task="7.8", name="weights exchanged",
        question="the weight is CTC's, and the rest the decoder's: are they exchanged?",
        replace=WEIGHED,
        by="return weight * step(symbols) + (1 - weight) * torch.stack(changes)"),
    Mistake(
        task="7.8", name="the start in the text", question="the prefix scores take texts without "
        "the start: is it left out?", replace="text = tuple(row[1:])", by="text = tuple(row)"),
    Mistake(
        task="7.8", name="stops when as many have ended as the beam is wide",
        question="a text that ends later may still come out ahead, however many have ended",
        replace=LIVING, by="        if not living or len(ended) >= width:\n"),
    Mistake(
        task="7.8", name="stops when the best has ended, with a bonus",
        question="a text that ends later may still come out ahead, however many have ended",
        replace=LIVING,
        by="        highest = max([s for _, s in ended], default=-math.inf)\n"
        "        if not living or highest >= living[0][1]:\n"),
    Mistake(
        task="7.8", name="the mean of a symbol",
        question="scores are sums: are they divided by the length?", replace=CHOSEN,
        by=CHOSEN.replace("one[1])", "one[1] / (len(one[0]) + 1))")),
    Mistake(
        task="7.8", name="all of the decoder",
        question="the decoder's share is 1 - weight: is it left at 1?", replace=WEIGHED,
        by=WEIGHED.replace("(1 - weight) * ", "")),
    Mistake(
        task="7.9", name="no positions in the decoder",
        question="does the decoder know the order of its symbols? Add positions", replace=POSITIONS,
        by="y = self.embed(symbols)",
        also=((STACK, STACK.replace("range(2)", "range(1)")),)),
    Mistake(
        task="7.9", name="memory's padding not masked",
        question="do the decoder's layers get valid?", replace=LAYERS,
        by=LAYERS.replace("memory, valid", "memory")),
    Mistake(
        task="7.9", name="the encoder without a mask", question="does the encoder get valid?",
        replace=ENCODED, by="return self.encoder(self.positions(x)), valid"),
    Mistake(
        task="7.9", name="a plain list of layers",
        question="are the layers in an nn.ModuleList? A plain list hides their parameters",
        replace="self.layers = " + STACK,
        by="self.layers = [DecoderLayer(d_model, num_heads, d_ff) for _ in range(2)]"),
    Mistake(
        task="7.9", name="frames not subsampled",
        question="CTC needs the frames that are left: are they subsampled?", replace=FRAMES_LEFT,
        by="frames = torch.full((len(texts),), len(ctc_logits[0]))"),
    Mistake(
        task="7.9", name="weights of the losses exchanged",
        question="ctc_weight is CTC's: are the two weights exchanged?", replace=JOINT,
        by="return (1 - ctc_weight) * ctc + ctc_weight * attention"),
    Mistake(
        task="7.9", name="the losses added", question="is the weight used?", replace=JOINT,
        by="return ctc + attention"),
    Mistake(
        task="7.9", name="logits for CTC",
        question="F.ctc_loss takes log-probabilities: is there a log_softmax?",
        replace="log_p = ctc_logits.log_softmax(dim=-1).transpose(0, 1)",
        by="log_p = ctc_logits.transpose(0, 1)"),
    Mistake(
        task="7.9", name="a sum over the batch",
        question="the mean over the batch, each loss divided by its text's length: is it a sum?",
        replace=LOSS, by=LOSS.replace("lengths)", 'lengths, reduction="sum")')),
    Mistake(
        task="7.9", name="no positions in the encoder",
        question="does the encoder know when a frame was? Add positions", replace=ENCODED,
        by="return self.encoder(x, valid), valid"),
    Mistake(
        task="7.9", name="probabilities of CTC",
        question="logits, not probabilities: is there a softmax at the end?",
        replace="valid), self.ctc(memory)", by="valid), self.ctc(memory).softmax(dim=-1)"),
    Mistake(
        task="7.9", name="probabilities of the decoder",
        question="logits, not probabilities: is there a softmax at the end?",
        replace="return self.write(self.norm(y))",
        by="return self.write(self.norm(y)).softmax(dim=-1)"),
    Mistake(
        task="7.9", name="frames rounded down",
        question="the frames that are left are rounded up: is it n // 4?", replace=FRAMES_LEFT,
        by=FRAMES_LEFT.replace("subsampled(int(n))", "int(n) // 4")),
    Mistake(
        task="7.9", name="not smoothed", question="the labels are smoothed by 0.1",
        replace=SMOOTHED, by=SMOOTHED.replace("0.1", "0.0")),
    Mistake(
        task="7.9", name="another name", question="what are the three names in the recipe?",
        replace='"ctc_weight": 0.3}', by='"weight": 0.3}'),
]
# fmt: on

NEED_WEIGHTS = ("7.9-accuracy",)

ALTERNATIVES = {
    "attention by torch, one map for keys and values, a mask as a number": [
        (
            "        self.key = nn.Linear(d_model, d_model)\n"
            "        self.value = nn.Linear(d_model, d_model)\n",
            "        self.both = nn.Linear(d_model, 2 * d_model)\n",
        ),
        (FOUND, "found = (self.query(x), *self.both(memory).chunk(2, dim=-1))"),
        (
            f"        {SCORES}\n",
            "        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)\n",
        ),
        (
            f"        if mask is not None:\n            {HIDE}\n",
            "",
        ),
        ("        y = scores.softmax(dim=-1) @ v\n", ""),
        (
            'key, value and out (D, D), each .weight and .bias."""\n'
            "    module.load_state_dict(weights)\n",
            'key, value and out (D, D), each .weight and .bias."""\n'
            '    own = {n: w for n, w in weights.items() if n[:3] in ("que", "out")}\n'
            '    for kind in ("weight", "bias"):\n'
            '        parts = [weights[f"{name}.{kind}"] for name in ("key", "value")]\n'
            '        own[f"both.{kind}"] = torch.cat(parts)\n'
            "    module.load_state_dict(own)\n",
        ),
        (
            "norm_self, norm_cross and norm_feed_forward, each with .weight and .bias.\n"
            '    """\n'
            "    module.load_state_dict(weights)\n",
            "norm_self, norm_cross and norm_feed_forward, each with .weight and .bias.\n"
            '    """\n'
            '    for part in ("self_attention", "cross_attention"):\n'
            "        found = weights.items()\n"
            "        own = {n[len(part) + 1 :]: w for n, w in found if n.startswith(part)}\n"
            "        load_cross_attention(getattr(module, part), own)\n"
            '    rest = {n: w for n, w in weights.items() if "attention" not in n}\n'
            "    module.load_state_dict(rest, strict=False)\n",
        ),
    ],
    "edits by a whole table, numbers as tensors": [
        (
            COUNTED,
            "return tuple(torch.tensor(n).item() for n in "
            "(cost - gaps, deletions, gaps - deletions))",
        ),
        (RATE, "return torch.tensor(errors / words, dtype=torch.float64)\n"),
        (
            NEEDED,
            "return sum(1 + (i > 0 and bool(text[i] == text[i - 1])) for i in range(len(text)))",
        ),
        (LOWER, "return torch.arange(length)[:, None] >= torch.arange(length)"),
    ],
    "CTC place by place": [
        (
            "alpha = torch.stack([alpha, step, skip]).logsumexp(dim=0) + row[symbols]",
            "alpha = torch.logaddexp(torch.logaddexp(alpha, step), skip) + row[symbols]",
        ),
        (
            MERGED,
            "return [int(s) for i, s in enumerate(path) if s != 0 and "
            "(i == 0 or s != path[i - 1])]",
        ),
    ],
    "a beam that stops when nothing can come out ahead": [
        (
            "        if not living:\n",
            "        highest = max([s for _, s in ended], default=-math.inf)\n"
            "        if not living or (length_weight <= 0 and highest >= living[0][1]):\n",
        ),
    ],
    "numpy, constants made in the call, and a name of its own for CTC's layer": [
        (
            COUNTED,
            "import numpy as np\n\n"
            "    return tuple(np.array([cost - gaps, deletions, gaps - deletions]))",
        ),
        (RATE, "import numpy as np\n\n    return np.float64(errors) / words\n"),
        (
            LOWER,
            "import numpy as np\n\n    rows = np.arange(length)\n"
            "    return torch.from_numpy(rows[:, None] >= rows)",
        ),
        (HIDE, "scores = torch.where(mask, scores, torch.tensor(-math.inf))"),
        (MERGED, "path = torch.unique_consecutive(path)\n    return path[path != 0]"),
        ("self.ctc = nn.Linear(", "self.hears = nn.Linear("),
        ("self.ctc(memory)", "self.hears(memory)"),
    ],
}
