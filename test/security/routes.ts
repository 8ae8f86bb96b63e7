/** Every route of every door, as the document tells of them, and what each takes. */
import type { FastifyInstance } from 'fastify'
import { doorOf, type Json } from '../dialects/doors.js'

export type Route = {
  method: string
  url: string
  /** Nobody but who is signed in gets in. */
  isGuarded: boolean
  /** The names of the members of its body. */
  members: string[]
  /** The names of its query's parameters. */
  query: string[]
}

/** The operators' own are left out; what stands for a part of the path is `x`. */
export function routesOf(app: FastifyInstance): Route[] {
  const { paths, components } = app.swagger() as Json
  const schemaOf = (schema: Json = {}): Json =>
    schema.$ref ? components.schemas[schema.$ref.split('/').at(-1)] : schema
  const membersOf = ({ requestBody }: Json): string[] =>
    Object.values(requestBody?.content ?? {}).flatMap((media: Json) => {
      const schema = schemaOf(media.schema)
      const all = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].map(schemaOf)
      return all.flatMap(each => Object.keys(each.properties ?? {}))
    })
  return Object.entries<Json>(paths).flatMap(([path, item]) =>
    doorOf(path) === undefined && !path.startsWith('/oauth2')
      ? []
      : Object.entries<Json>(item).map(([method, operation]) => ({
          method: method.toUpperCase(),
          url: path.replace(/\{\w+\}/g, 'x'),
          isGuarded: operation.security.length > 0 && operation.security.every((each: object) => !isOpen(each)),
          members: [...new Set(membersOf(operation))],
          query: (operation.parameters ?? [])
            .filter((each: Json) => each.in === 'query')
            .map((each: Json) => String(each.name)),
        })),
  )
}

const isOpen = (requirement: object): boolean => Object.keys(requirement).length === 0
