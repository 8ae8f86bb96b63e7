/** The security headers that every answer carries (OWASP Secure Headers), by helmet. */
import type { FastifyInstance } from 'fastify'
import helmet, { type HelmetOptions } from 'helmet'

const options: HelmetOptions = {
  // Answers are data. The pages at /docs have a policy of their own.
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  frameguard: { action: 'deny' },
}

/** Adds them before anything of a request is looked at. They are the same for every answer, so helmet is asked once. */
export function addSecurityHeaders(app: FastifyInstance): void {
  const headers = securityHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
}

function securityHeaders(): Record<string, string> {
  const headers: Record<string, string> = {}
  const response = {
    setHeader: (name: string, value: string) => {
      headers[name.toLowerCase()] = value
    },
    // The one header that helmet takes away, X-Powered-By, nobody sets here.
    removeHeader: () => {},
  }
  helmet(options)({} as never, response as never, error => {
    if (error) throw error
  })
  return headers
}
