"""Planted mistakes of assignment 9, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

RATE = "return sample_rate / math.prod(strides)"
BITS = "return rate * math.log2(num_codes)"
SECONDS = "return context / rate"
DISTANCES = "distances = codebook.square().sum(dim=1) - 2 * z @ codebook.T"
NEAREST = "return distances.argmin(dim=-1)"
SHARES = "p = counts / counts.sum()"
ENTROPY = "return (-torch.xlogy(p, p).sum()).exp()"
ROWS = "q = codebook[codes].detach()"
COMMITMENT = "loss = beta * (z - q).square().mean()"
THROUGH = "return z + (q - z).detach(), codes, loss"
CHOSEN = "chosen = F.one_hot(codes, len(counts)).to(z.dtype)"
NEW_COUNTS = "new_counts = momentum * counts + (1 - momentum) * chosen.sum(dim=0)"
NEW_SUMS = "return new_counts, momentum * sums + (1 - momentum) * chosen.T @ z"
DEAD = "dead = counts < floor"
DRAWN = "drawn = z[torch.randint(len(z), (len(counts),), generator=generator)]"
RESTARTED = (
    "return torch.where(dead, floor, counts), torch.where(dead[:, None], floor * drawn, sums)"
)
TOO_FEW = """        if num_codes < 2:
            raise ValueError("a codebook needs 2 codes or more")
"""
FLAT = "flat = z.detach().flatten(0, -2)"
BEGIN = "if self.training and not self.begun:"
QUANTIZED = "y, codes, loss = quantize(z, self.vectors, self.beta)"
TRAINING = "        if self.training:\n            #: Follow, then restart."
FOLLOWED = "counts, sums = follow(self.counts, self.sums, flat, codes.flatten(), self.momentum)"
RESTART = "counts, sums = restart(counts, sums, flat, self.floor)"
KEPT = """            self.counts.copy_(counts)
            self.sums.copy_(sums)
"""
VECTORS = "self.vectors.copy_(sums / counts[:, None])"
CODED = "y, codes, loss = self.codebook(self.encoder(mel.mT).mT)"
AGAIN = "return self.decoder(y.mT).mT, codes, loss"
ENCODED = "return nearest(self.encoder(mel.mT).mT, self.codebook.vectors)"
DECODED = "return self.decoder(self.codebook.vectors[codes].mT).mT"
BEFORE = "before = torch.cat([torch.full_like(codes[:, :1], num_codes), codes[:, :-1]], dim=1)"
PAIRS = "pairs = (before * num_codes + codes).flatten()"
COUNTED = "counts = 1 + pairs.bincount(minlength=(num_codes + 1) * num_codes)"
PROBABLE = "return counts / counts.sum(dim=1, keepdim=True)"
WORD_FIRST = "x = torch.cat([self.words(words)[:, None], self.codes(codes)], dim=1)"
TOO_MANY = """        if x.shape[1] > len(self.places):
            raise ValueError("more codes than places")
"""
PLACED = "x = x + self.places[: x.shape[1]]"
LAYERS = """        for layer in self.layers:
            x = layer(x)
"""
HEAD = "return self.head(self.norm(x))"
NATS = "return F.cross_entropy(logits.flatten(0, 1), codes.flatten())"
COLD = """    if temperature <= 0:
        raise ValueError("the temperature must be above 0")
"""
NONE_LEFT = """    if top_k is not None and not 1 <= top_k <= logits.shape[1]:
        raise ValueError("top_k must be from 1 to K")
"""
LEAST = "least = logits.topk(top_k).values[:, -1:]"
CUT = "logits = logits.masked_fill(logits < least, -math.inf)"
SOFTMAX = "return (logits / temperature).softmax(dim=1)"
NO_CODE = "codes = torch.zeros(len(words), 0, dtype=torch.long)"
NEXT = "p = probabilities(prior(words, codes)[:, -1], temperature, top_k)"
APPENDED = "codes = torch.cat([codes, torch.multinomial(p, 1, generator=generator)], dim=1)"
PARTS = """        self.codec = Codec()
        self.prior = CodePrior(35, CODES, LENGTH)
"""
LOGITS = "return self.prior(words, codes)"
MODEL_ENCODES = "return model.codec.encode(mel)"
MODEL_DECODES = "return model.codec.decode(codes)"
WRITTEN = "are counts, sums and vectors written into the buffers, in training mode?"

NEED_WEIGHTS = ("9.8-alive", "9.8-decoded", "9.8-perplexity", "9.8-samples")

# fmt: off
MISTAKES = [
    Mistake(
        task="9.1", name="strides added up", question="strides multiply", replace=RATE,
        by="return sample_rate / max(sum(strides), 1)"),
    Mistake(
        task="9.1", name="the last stride alone", question="is every stride used?", replace=RATE,
        by="return sample_rate / (list(strides) or [1])[-1]"),
    Mistake(
        task="9.1", name="seconds of a code", question="codes a second, not seconds a code",
        replace=RATE, by="return math.prod(strides) / sample_rate"),
    Mistake(
        task="9.1", name="natural logarithm", question="bits: the logarithm to base 2",
        replace=BITS, by="return rate * math.log(num_codes)"),
    Mistake(
        task="9.1", name="values in place of bits",
        question="a choice among K is log2(K) bits, not K", replace=BITS,
        by="return rate * num_codes"),
    Mistake(
        task="9.1", name="codes times rate", question="codes over codes a second",
        replace=SECONDS, by="return context * rate"),
    Mistake(
        task="9.2", name="the largest product",
        question="the distance, not the product: is |e|^2 in it?", replace=DISTANCES,
        by="distances = -z @ codebook.T"),
    Mistake(
        task="9.2", name="the product once", question="|e|^2 - 2 z e: the product counts twice",
        replace=DISTANCES, by="distances = codebook.square().sum(dim=1) - z @ codebook.T"),
    Mistake(
        task="9.2", name="the farthest", question="the smallest distance", replace=NEAREST,
        by="return distances.argmax(dim=-1)"),
    Mistake(
        task="9.2", name="the sum of absolute values",
        question="squared distances, not sums of absolute differences", replace=DISTANCES,
        by="distances = (z[..., None, :] - codebook).abs().sum(-1)"),
    Mistake(
        task="9.2", name="the last of equals", question="of equally near codes the lowest",
        replace=NEAREST,
        by="return distances.shape[-1] - 1 - distances.flip(-1).argmin(dim=-1)"),
    Mistake(
        task="9.2", name="bits and e", question="exp goes with natural logarithms",
        replace=ENTROPY, by="return (-torch.xlogy(p, p).sum() / math.log(2)).exp()"),
    Mistake(
        task="9.2", name="entropy", question="the exponential of the entropy", replace=ENTROPY,
        by="return -torch.xlogy(p, p).sum()"),
    Mistake(
        task="9.2", name="softmax of counts", question="shares are counts over their sum",
        replace=SHARES, by="p = counts.float().softmax(dim=0)"),
    Mistake(
        task="9.2", name="how many are used",
        question="rare codes count less: is it the number of codes in use?", replace=ENTROPY,
        by="return (p > 0).sum().float()"),
    Mistake(
        task="9.3", name="no gradient", question="straight through: z + (q - z).detach()",
        replace=THROUGH, by="return q, codes, loss"),
    Mistake(
        task="9.3", name="the codes get the gradient",
        question="y's gradient goes to z, not to the codebook", replace=ROWS,
        by="q = codebook[codes]", also=((THROUGH, "return q, codes, loss"),)),
    Mistake(
        task="9.3", name="the gradient twice", question="the gradient of z for y is y's, once",
        replace=THROUGH, by="return 2 * z + (q - 2 * z).detach(), codes, loss"),
    Mistake(
        task="9.3", name="sg on the wrong side",
        question="commitment pulls z to the code: detach q, not z", replace=COMMITMENT,
        by="loss = beta * (z.detach() - codebook[codes]).square().mean()"),
    Mistake(
        task="9.3", name="both are pulled",
        question="the codebook has no gradient at all: is q detached in the loss?",
        replace=COMMITMENT, by="loss = beta * (z - codebook[codes]).square().mean()"),
    Mistake(
        task="9.3", name="no weight", question="the loss is beta times the mean",
        replace=COMMITMENT, by="loss = (z - q).square().mean()"),
    Mistake(
        task="9.3", name="a sum", question="the mean over all numbers, not the sum",
        replace=COMMITMENT, by="loss = beta * (z - q).square().sum()"),
    Mistake(
        task="9.3", name="the mean over vectors",
        question="the mean over all numbers: over D, too", replace=COMMITMENT,
        by="loss = beta * (z - q).square().sum(dim=-1).mean()"),
    Mistake(
        task="9.3", name="not squared", question="are the differences squared?",
        replace=COMMITMENT, by="loss = beta * (z - q).abs().mean()"),
    Mistake(
        task="9.3", name="z itself", question="y has the values of the codes' vectors",
        replace=THROUGH, by="return z + (z - z).detach(), codes, loss"),
    Mistake(
        task="9.4", name="momentum exchanged",
        question="momentum of the old numbers, 1 - momentum of the new", replace=NEW_COUNTS,
        by="new_counts = (1 - momentum) * counts + momentum * chosen.sum(dim=0)",
        also=((NEW_SUMS, "return new_counts, (1 - momentum) * sums + momentum * chosen.T @ z"),)),
    Mistake(
        task="9.4", name="counts without average", question="are the counts averaged, too?",
        replace=NEW_COUNTS, by="new_counts = chosen.sum(dim=0)"),
    Mistake(
        task="9.4", name="means in place of sums",
        question="sums of the vectors of each code, not their means", replace=NEW_SUMS,
        by="own = chosen.T @ z / chosen.sum(dim=0).clamp(min=1)[:, None]\n"
        "    return new_counts, momentum * sums + (1 - momentum) * own"),
    Mistake(
        task="9.4", name="the new added in full", question="1 - momentum of the new numbers",
        replace=NEW_COUNTS, by="new_counts = momentum * counts + chosen.sum(dim=0)",
        also=((NEW_SUMS, "return new_counts, momentum * sums + chosen.T @ z"),)),
    Mistake(
        task="9.4", name="codes not chosen stay",
        question="a code that is not chosen loses count, too", replace=NEW_COUNTS,
        by="old, new = counts, chosen.sum(dim=0)\n"
        "    new_counts = torch.where(new > 0, momentum * old + (1 - momentum) * new, old)"),
    Mistake(
        task="9.4", name="changed in place", question="new tensors: the arguments stay",
        replace=NEW_COUNTS,
        by="new_counts = counts.mul_(momentum).add_((1 - momentum) * chosen.sum(dim=0))"),
    Mistake(
        task="9.4", name="the count stays",
        question="a code that begins again has the floor as its count",
        replace=RESTARTED, by="return counts, torch.where(dead[:, None], floor * drawn, sums)"),
    Mistake(
        task="9.4", name="the sum is the row",
        question="sum over count is the row: the sum is floor times the row", replace=RESTARTED,
        by="return torch.where(dead, floor, counts), torch.where(dead[:, None], drawn, sums)"),
    Mistake(
        task="9.4", name="alive ones, too", question="living codes stay as they are",
        replace=RESTARTED, by="return torch.where(dead, floor, counts), floor * drawn"),
    Mistake(
        task="9.4", name="at the floor", question="below the floor: a code at the floor is alive",
        replace=DEAD, by="dead = counts <= floor"),
    Mistake(
        task="9.4", name="one row for all", question="a draw of its own for each dead code",
        replace=DRAWN,
        by="drawn = z[torch.randint(len(z), (1,), generator=generator)].expand(len(counts), -1)"),
    Mistake(
        task="9.4", name="the first rows", question="are the rows drawn at random?",
        replace=DRAWN, by="drawn = z[torch.arange(len(counts)) % len(z)]"),
    Mistake(
        task="9.4", name="random numbers", question="rows of z, not random numbers",
        replace=DRAWN,
        by="drawn = torch.randn(len(counts), z.shape[1], generator=generator)"),
    Mistake(
        task="9.4", name="generator not used", question="is the generator used?", replace=DRAWN,
        by="drawn = z[torch.randint(len(z), (len(counts),))]"),
    Mistake(
        task="9.4", name="drawn without putting back",
        question="two codes may begin at the same row: are the rows shuffled?", replace=DRAWN,
        by="order = torch.randperm(len(z), generator=generator).repeat(len(counts))\n"
        "    drawn = z[order[: len(counts)]]"),
    Mistake(
        task="9.5", name="follows in evaluation", question="only in training mode: self.training",
        replace=TRAINING, by="        if True:"),
    Mistake(
        task="9.5", name="never follows", question=WRITTEN,
        replace=TRAINING, by="        if False:"),
    Mistake(
        task="9.5", name="begins again and again", question="it begins once: self.begun",
        replace=BEGIN, by="if self.training:"),
    Mistake(
        task="9.5", name="begins in evaluation", question="it begins in training mode only",
        replace=BEGIN, by="if not self.begun:"),
    Mistake(
        task="9.5", name="never begins", question="does it begin with vectors of the first batch?",
        replace=BEGIN, by="if False:"),
    Mistake(
        task="9.5", name="no restart", question="are dead codes restarted?", replace=RESTART,
        by="pass"),
    Mistake(
        task="9.5", name="vectors stay", question=WRITTEN,
        replace=VECTORS, by="pass"),
    Mistake(
        task="9.5", name="nothing kept",
        question=WRITTEN, replace=KEPT,
        by="            pass\n"),
    Mistake(
        task="9.5", name="a gradient is kept",
        question="vectors without their history: z.detach()", replace=FLAT,
        by="flat = z.flatten(0, -2)",
        also=((KEPT, "            self.counts, self.sums = counts, sums\n"),)),
    Mistake(
        task="9.5", name="the usual weight", question="is beta handed on?", replace=QUANTIZED,
        by="y, codes, loss = quantize(z, self.vectors)"),
    Mistake(
        task="9.5", name="a codebook of one", question="are fewer than two codes refused?",
        replace=TOO_FEW, by=""),
    Mistake(
        task="9.5", name="past the codebook",
        question="the decoder sees the codes' vectors, not what the encoder made",
        replace=AGAIN, by="return self.decoder(self.encoder(mel.mT)).mT, codes, loss"),
    Mistake(
        task="9.5", name="channels first",
        question="(B, T, F): .mT after the decoder, too", replace=DECODED,
        by="return self.decoder(self.codebook.vectors[codes].mT)"),
    Mistake(
        task="9.5", name="encode moves the codebook",
        question="encode leaves the codebook as it is, in training mode, too", replace=ENCODED,
        by="return self.codebook(self.encoder(mel.mT).mT)[1]"),
    Mistake(
        task="9.5", name="no way back",
        question="does a gradient pass from the mel to the encoder?", replace=AGAIN,
        by="return self.decoder(y.detach().mT).mT, codes, loss"),
    Mistake(
        task="9.5", name="a reshape in decode",
        question="a reshape alone mixes frames and channels: swap the axes", replace=DECODED,
        by="y = self.codebook.vectors[codes]\n"
        "        return self.decoder(y.reshape(len(y), y.shape[2], -1)).mT",
        also=((AGAIN, AGAIN.replace("y.mT", "y.reshape(len(y), y.shape[2], -1)")),)),
    Mistake(
        task="9.5", name="a reshape in encode",
        question="a reshape alone mixes frames and channels: swap the axes", replace=ENCODED,
        by="return nearest(self.encoder(mel.reshape(len(mel), mel.shape[2], -1)).mT, "
        "self.codebook.vectors)",
        also=((CODED, CODED.replace("mel.mT", "mel.reshape(len(mel), mel.shape[2], -1)")),)),
    Mistake(
        task="9.5", name="encode leaves evaluation mode behind",
        question="encode leaves the mode as it was, too", replace=ENCODED,
        by="self.eval()\n        return self(mel)[1]"),
    Mistake(
        task="9.6", name="nothing is added", question="one more for each pair", replace=COUNTED,
        by="counts = pairs.bincount(minlength=(num_codes + 1) * num_codes).clamp(min=1e-9)"),
    Mistake(
        task="9.6", name="after and before exchanged",
        question="rows are the code before, columns the code after", replace=PAIRS,
        by="pairs = (codes * num_codes + before.clamp(max=num_codes - 1)).flatten()"),
    Mistake(
        task="9.6", name="over the ends of clips",
        question="a clip's first code follows the start, not the clip before", replace=BEFORE,
        by="flat = codes.flatten()\n    start = torch.full_like(flat[:1], num_codes)\n"
        "    before = torch.cat([start, flat[:-1]]).reshape(codes.shape)"),
    Mistake(
        task="9.6", name="shares of all pairs", question="each row adds up to 1",
        replace=PROBABLE, by="return counts / counts.sum()"),
    Mistake(
        task="9.6", name="shares of columns", question="each row adds up to 1, not each column",
        replace=PROBABLE, by="return counts / counts.sum(dim=0, keepdim=True)"),
    Mistake(
        task="9.6", name="the word comes last",
        question="the word comes first, so that every code is predicted from it",
        replace=WORD_FIRST,
        by="x = torch.cat([self.codes(codes), self.words(words)[:, None]], dim=1)"),
    Mistake(
        task="9.6", name="the first code without the word",
        question="the first code follows from the word, too", replace=WORD_FIRST,
        by="x = torch.cat([self.words(words)[:, None] * 0, self.codes(codes)], dim=1)\n"
        "        x = torch.cat([x[:, :1], x[:, 1:] + self.words(words)[:, None]], dim=1)"),
    Mistake(
        task="9.6", name="no word", question="does the word matter?", replace=WORD_FIRST,
        by="x = torch.cat([self.words(words * 0)[:, None], self.codes(codes)], dim=1)"),
    Mistake(
        task="9.6", name="looks ahead",
        question="a code follows from those before it: does anything look ahead?", replace=LAYERS,
        by="        for layer in self.layers:\n            x = layer(x)\n"
        "        x = x + x.mean(dim=1, keepdim=True)\n"),
    Mistake(
        task="9.6", name="no places", question="are the places added?", replace=PLACED,
        by="x = x + 0 * self.places[: x.shape[1]]"),
    Mistake(
        task="9.6", name="places from the end", question="the first places: [: t + 1]",
        replace=PLACED, by="x = x + self.places[-x.shape[1] :]"),
    Mistake(
        task="9.6", name="too many codes", question="are more codes than places refused?",
        replace=TOO_MANY, by=""),
    Mistake(
        task="9.6", name="one place too few",
        question="t codes and the word are t + 1 inputs, and so many places are enough",
        replace=TOO_MANY, by=TOO_MANY.replace("> len", ">= len")),
    Mistake(
        task="9.6", name="no norm", question="is there a norm before the head?", replace=HEAD,
        by="return self.head(x + 0 * self.norm(x))"),
    Mistake(
        task="9.6", name="no logits of the first code",
        question="t + 1 logits: the word predicts the first code", replace=HEAD,
        by="return self.head(self.norm(x))[:, 1:]"),
    Mistake(
        task="9.6", name="one layer too few", question="is every layer used?", replace=LAYERS,
        by=LAYERS.replace("self.layers", "self.layers[:-1]")),
    Mistake(
        task="9.6", name="a sum", question="the mean over all codes", replace=NATS,
        by='return F.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="sum")'),
    Mistake(
        task="9.6", name="bits", question="nats: natural logarithms", replace=NATS,
        by=f"{NATS} / math.log(2)"),
    Mistake(
        task="9.6", name="the perplexity", question="nats, and not their exponential",
        replace=NATS, by=f"{NATS}.exp()"),
    Mistake(
        task="9.6", name="a number without its gradient",
        question="training goes by this number: has it a gradient?", replace=NATS,
        by=NATS + ".item()"),
    Mistake(
        task="9.7", name="temperature multiplies", question="divide by the temperature",
        replace=SOFTMAX, by="return (logits * temperature).softmax(dim=-1)"),
    Mistake(
        task="9.7", name="no temperature", question="is the temperature used?", replace=SOFTMAX,
        by="return logits.softmax(dim=-1)"),
    Mistake(
        task="9.7", name="not renormalized", question="what is left adds up to 1", replace=SOFTMAX,
        by="return torch.where(logits.isinf(), 0.0, 1.0) * (whole / temperature).softmax(dim=-1)",
        also=((LEAST, f"whole = logits\n        {LEAST}"), (COLD, f"    whole = logits\n{COLD}"))),
    Mistake(
        task="9.7", name="the smallest", question="the k largest stay, not the smallest",
        replace=LEAST, by="least = -(-logits).topk(top_k).values[:, -1:]",
        also=((CUT, CUT.replace("< least", "> least")),)),
    Mistake(
        task="9.7", name="one too few", question="k logits stay, the k-th among them",
        replace=CUT, by="beyond = (logits <= least) & (logits < logits.amax(-1, keepdim=True))\n"
        "        logits = logits.masked_fill(beyond, -math.inf)"),
    Mistake(
        task="9.7", name="zero in place of minus infinity",
        question="minus infinity: a logit of 0 still has a probability", replace=CUT,
        by=CUT.replace("-math.inf", "0.0")),
    Mistake(
        task="9.7", name="a temperature of 0", question="is a temperature of 0 refused?",
        replace=COLD, by=""),
    Mistake(
        task="9.7", name="any top_k", question="is top_k outside of 1 to K refused?",
        replace=NONE_LEFT, by="    if top_k is not None:\n"
        "        top_k = min(max(top_k, 1), logits.shape[-1])\n"),
    Mistake(
        task="9.7", name="always the most probable", question="draw: is anything random?",
        replace=APPENDED, by="codes = torch.cat([codes, p.argmax(dim=-1, keepdim=True)], dim=1)"),
    Mistake(
        task="9.7", name="generator not used", question="is the generator used?",
        replace=APPENDED, by=APPENDED.replace(", generator=generator", "")),
    Mistake(
        task="9.7", name="the first logits", question="the last logits are those of the next code",
        replace=NEXT, by=NEXT.replace("[:, -1]", "[:, 0]")),
    Mistake(
        task="9.7", name="the newest code first",
        question="the new code is appended at the end", replace=APPENDED,
        by="codes = torch.cat([torch.multinomial(p, 1, generator=generator), codes], dim=1)"),
    Mistake(
        task="9.7", name="top_k forgotten", question="are temperature and top_k handed on?",
        replace=NEXT, by=NEXT.replace(", top_k)", ")")),
    Mistake(
        task="9.7", name="begins with code 0", question="begin with no code at all: (B, 0)",
        replace=NO_CODE, by=NO_CODE.replace(", 0,", ", 1,"),
        also=(("    return codes\n    # END", "    return codes[:, 1:]\n    # END"),)),
    Mistake(
        task="9.7", name="a seed of its own",
        question="without a generator each call draws again: is there a seed inside?",
        replace=NO_CODE, by="generator = generator or torch.Generator().manual_seed(0)\n    "
        + NO_CODE),
    Mistake(
        task="9.8", name="fewer words", question="35 words can be asked for", replace=PARTS,
        by=PARTS.replace("35", "12")),
    Mistake(
        task="9.8", name="a shorter clip", question="25 codes are predicted: LENGTH places",
        replace=PARTS, by=PARTS.replace("LENGTH", "LENGTH - 1")),
    Mistake(
        task="9.8", name="probabilities", question="forward gives the prior's logits",
        replace=LOGITS, by="return self.prior(words, codes).softmax(-1)"),
    Mistake(
        task="9.8", name="vectors in place of codes", question="encode_mels gives codes",
        replace=MODEL_ENCODES, by="return model.codec.encoder(mel.mT).mT"),
    Mistake(
        task="9.8", name="a mel on its side", question="decode_codes gives (B, 100, 40)",
        replace=MODEL_DECODES, by="return model.codec.decode(codes).mT"),
]
# fmt: on

ALTERNATIVES = {
    "distances written out, indices added one by one": [
        (
            RATE,
            "rate = float(sample_rate)\n    for s in strides:\n        rate /= s\n    return rate",
        ),
        (BITS, "return math.log(num_codes) / math.log(2) * rate"),
        (DISTANCES, "distances = (z[..., None, :] - codebook).pow(2).sum(-1)"),
        (NEAREST, "return (-distances).max(dim=-1).indices"),
        (
            ENTROPY,
            "p = p[p > 0]\n    return torch.exp(torch.sum(p * torch.log(1 / p)))",
        ),
        (THROUGH, "return z - z.detach() + q, codes, loss"),
        (COMMITMENT, "loss = beta * F.mse_loss(z, q)"),
        (
            NEW_SUMS,
            "added = torch.zeros_like(sums).index_add(0, codes, z)\n"
            "    return new_counts, sums.lerp(added, 1 - momentum)",
        ),
        (
            DRAWN,
            "drawn = z[(torch.rand(len(counts), generator=generator) * len(z)).long()]",
        ),
        (DECODED, "return self.decoder(F.embedding(codes, self.codebook.vectors).mT).mT"),
        (NATS, "return -logits.log_softmax(-1).gather(2, codes[..., None]).mean()"),
    ],
    "counts in a loop, the k best put back": [
        (
            COUNTED,
            "counts = torch.ones((num_codes + 1) * num_codes)\n    for pair in pairs.tolist():\n"
            "        counts[pair] += 1",
        ),
        (SHARES, "p = counts.double() / counts.sum()"),
        (
            CUT,
            "best = logits.topk(top_k, dim=-1)\n"
            "        logits = torch.full_like(logits, -math.inf).scatter(\n"
            "            -1, best.indices, best.values)",
        ),
        (LEAST, ""),
        (SOFTMAX, "return torch.exp(torch.log_softmax(logits / temperature, dim=-1))"),
        (NO_CODE, "codes = words.new_zeros((len(words), 0))"),
        (
            WORD_FIRST,
            "x = torch.cat((self.words(words).unsqueeze(1), self.codes(codes)), 1)",
        ),
        (LAYERS, "        x = nn.Sequential(*self.layers)(x)\n"),
        (VECTORS, "self.vectors.copy_(self.sums / self.counts.unsqueeze(-1))"),
    ],
    "numpy's numbers, a number without axes, buffers put in place": [
        (BITS, "import numpy as np\n\n    return rate * np.log2(num_codes)"),
        (ENTROPY, ENTROPY + ".item()"),
        (
            KEPT,
            "            self.counts, self.sums = counts, sums\n",
        ),
        (VECTORS, "self.vectors = sums / counts[:, None]"),
    ],
}
