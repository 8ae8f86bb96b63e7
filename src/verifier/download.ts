/** One GET with everything bounded: its time, its size, and where it may lead. */

export type DownloadRequest = {
  headers: Record<string, string>
  /** Milliseconds until it is given up. */
  deadline: number
  /** Bytes, decompressed, above which it is given up. */
  largest: number
  /** Ends it from outside. */
  signal: AbortSignal
}

export type Download = { status: number; headers: Headers; body: Uint8Array }

/** Follows no redirect: a key or a revocation counts only from the place the caller named. */
export async function download(url: URL, request: DownloadRequest): Promise<Download> {
  const giveUp = new AbortController()
  const end = () => giveUp.abort(new Error(request.signal.aborted ? 'closed' : 'no answer in time'))
  const timer = setTimeout(end, request.deadline)
  timer.unref()
  request.signal.addEventListener('abort', end)
  if (request.signal.aborted) end()
  try {
    const ask = () => fetch(url, { headers: request.headers, redirect: 'error', signal: giveUp.signal })
    const response = await ask().catch(error => (isLostConnection(error) ? ask() : Promise.reject(error)))
    return { status: response.status, headers: response.headers, body: await readBody(response, request.largest) }
  } finally {
    clearTimeout(timer)
    request.signal.removeEventListener('abort', end)
  }
}

/** RFC 9112 section 9.3.1: a connection kept open may be closed just when it is used again, and a GET is asked once more. */
const isLostConnection = (error: { cause?: { code?: unknown } }): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(error.cause?.code))

async function readBody(response: Response, largest: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop early cancels the body, and with it the connection.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > largest) throw new Error(`an answer of more than ${largest} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The address as a URL: https, or http to this machine, or any http where the caller says so. Throws TypeError. */
export function checkAddress(address: unknown, allowHttp: boolean): URL {
  const url = new URL(String(address))
  const isLoopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)
  const sound = url.protocol === 'https:' || (url.protocol === 'http:' && (allowHttp || isLoopback))
  if (!sound) throw new TypeError(`${url.origin}: keys and revocations come over https (or set allowHttp)`)
  if (url.username !== '' || url.password !== '') throw new TypeError('an address holds no credentials')
  return url
}
