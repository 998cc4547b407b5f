// divergence.ts — how far two next-token distributions are apart, from their logits. Loops by index: rows have 150 000 entries.

/** A distribution that others are held to, worked out once. */
export interface Reference {
  logProbability: Float32Array;
  probability: Float32Array;
}

function logSum(row: Float32Array): number {
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < row.length; i++) highest = Math.max(highest, row[i] ?? 0);
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp((row[i] ?? 0) - highest);
  return highest + Math.log(sum);
}

/** The distribution of a row of logits. What is less likely than e⁻³⁰ counts as impossible. */
export function reference(row: Float32Array): Reference {
  const sum = logSum(row);
  const logProbability = row.map((logit) => logit - sum);
  return { logProbability, probability: logProbability.map((value) => (value > -30 ? Math.exp(value) : 0)) };
}

/** Σ p·(ln p − ln q) over a vocabulary, in nats; p as reference() gives it. */
export function divergenceFrom({ logProbability, probability }: Reference, q: Float32Array): number {
  const sum = logSum(q);
  let kl = 0;
  for (let i = 0; i < q.length; i++) kl += (probability[i] ?? 0) * ((logProbability[i] ?? 0) - ((q[i] ?? 0) - sum));
  return kl;
}

/** Σ p·(ln p − ln q) over a vocabulary, in nats. */
export function divergence(p: Float32Array, q: Float32Array): number {
  return divergenceFrom(reference(p), q);
}

/** The likeliest id. */
export function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if ((logits[i] ?? 0) > (logits[best] ?? 0)) best = i;
  return best;
}
