/** Prometheus metrics, on a port of their own so that they are never public by accident. */
import { createServer, type Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** Times every request by method, route pattern and status. Call it before the routes. */
export function countRequests(app: FastifyInstance): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const durations = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long requests took, by route pattern.',
    labelNames: ['method', 'route', 'status'],
    buckets,
    registers: [registry],
  })
  /** Looking a child up by its labels costs more than counting; there are as many as routes and statuses. */
  const children = new Map<string, Histogram.Internal<string>>()
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown'
    const key = `${request.method} ${reply.statusCode} ${route}`
    const child = children.get(key) ?? durations.labels(request.method, route, String(reply.statusCode))
    children.set(key, child)
    child.observe(reply.elapsedTime / 1000)
    done()
  })
  return registry
}

/** Counts what happens to accounts and sessions, by kind. */
export function countEvents(registry: Registry): (kind: string) => void {
  const counter = new Counter({
    name: 'gatehouse_events_total',
    help: 'What has happened to accounts and sessions, by kind: sign_in, sign_in_failed, refresh_reused and so on.',
    labelNames: ['kind'],
    registers: [registry],
  })
  return kind => counter.inc({ kind })
}

/** Shows whether sessions are read from memory: whether news of those that end reaches this process. */
export function showNews(registry: Registry, isInformed: () => boolean): void {
  new Gauge({
    name: 'gatehouse_session_news',
    help: '1: news of ended sessions reaches this process, and sessions are remembered. 0: every request asks the database.',
    registers: [registry],
    collect() {
      this.set(isInformed() ? 1 : 0)
    },
  })
}

/** Serves `/metrics` and nothing else. */
export function createMetricsServer(registry: Registry): Server {
  return createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') return response.writeHead(404).end()
    response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics())
  })
}
