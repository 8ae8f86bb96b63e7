/** The part of two untyped packages that is used here. */

declare module 'autocannon' {
  export type Request = {
    method?: string
    path?: string
    headers?: Record<string, string>
    body?: string
    setupRequest?: (request: Request) => Request
    onResponse?: (status: number, body: string, context: object, headers: Record<string, unknown>) => void
  }
  type Client = { setRequests(requests: Request[]): void }
  type Instance = PromiseLike<unknown> & {
    on(event: 'response', listener: (client: Client, status: number, bytes: number, ms: number) => void): void
    on(event: 'reqError', listener: (error: Error) => void): void
    stop(): void
  }
  type Options = {
    url: string
    connections: number
    /** Seconds. */
    duration: number
    timeout: number
    setupClient: (client: Client) => void
  }
  export default function autocannon(options: Options): Instance
}

declare module 'pg' {
  const pg: { Pool: new (options: { connectionString: string }) => object }
  export default pg
}
