// web.ts — how a model's server is asked: directly, or through the proxy that the environment names.
//
// In: an address, and HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in capitals or not, as curl reads them. Out: the answer. Node's own
// fetch knows no proxy before Node 24; undici, which is what it is made of, is loaded only where one is set. Certificates of a
// company's own proxy: NODE_EXTRA_CA_CERTS, which Node reads itself.

import { SourceFailure } from "./source.ts";

/** What of a request is ours to say. */
export interface WebRequest {
  headers: Record<string, string>;
  signal: AbortSignal;
}

/** What of an answer is looked at; a `Response` is one. */
export interface WebAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: { get(name: string): string | null };
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Proxies {
  httpsProxy?: string;
  httpProxy?: string;
  noProxy?: string;
}

/** A proxy may be written without its scheme; the small letters count first. */
function proxiesOf(env: Environment): Proxies {
  const value = (name: string): string | undefined => env[name] || env[name.toUpperCase()] || undefined;
  const address = (name: string): string | undefined => {
    const said = value(name);
    return said === undefined || said.includes("://") ? said : `http://${said}`;
  };
  const [httpsProxy, httpProxy, noProxy] = [address("https_proxy"), address("http_proxy"), value("no_proxy")];
  return {
    ...(httpsProxy === undefined ? {} : { httpsProxy }),
    ...(httpProxy === undefined ? {} : { httpProxy }),
    ...(noProxy === undefined ? {} : { noProxy }),
  };
}

/** Asks a server. Throws what fetch throws, and SourceFailure for a proxy that refuses or whose address is none. */
export async function askWeb(url: string, request: WebRequest, env: Environment = process.env): Promise<WebAnswer> {
  const proxies = proxiesOf(env);
  if (proxies.httpsProxy === undefined && proxies.httpProxy === undefined) return asAnswer(await fetch(url, request));
  const { EnvHttpProxyAgent, fetch: fetchBy } = await import("undici");
  try {
    return asAnswer(await fetchBy(url, { ...request, dispatcher: new EnvHttpProxyAgent(proxies) }));
  } catch (error) {
    throw refusal(error) ?? error;
  }
}

/** What a proxy, not the server, answered; undefined where it was something else. */
function refusal(error: unknown): SourceFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const [, status] = /^Proxy response \((\d+)\)/.exec(error.message) ?? [];
  const nextStep = "Check HTTPS_PROXY, with user and password where the proxy asks for them, and run it again.";
  if (status !== undefined) return new SourceFailure(`the proxy answers ${status}`, { nextStep });
  if ("code" in error && /^(?:ERR_INVALID_URL|UND_ERR_INVALID_ARG)$/.test(String(error.code)))
    return new SourceFailure("HTTPS_PROXY or HTTP_PROXY is no address of a proxy", { nextStep });
  return refusal(error.cause);
}

/** Both kinds of Response are what is said of one above; their types differ in what is not used. */
function asAnswer(answer: Pick<Response, "status" | "statusText" | "headers"> & { body: unknown }): WebAnswer {
  return answer as WebAnswer;
}
