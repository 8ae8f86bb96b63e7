/** How schemas are compiled: bodies strictly, with no coercion and nothing removed; what can only be text is coerced. */
import { Ajv } from 'ajv'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'

const options = {
  useDefaults: true,
  removeAdditional: false,
  allErrors: true,
  strictSchema: false,
  formats: { password: true },
} as const

/** Fastify's own defaults turn `12345678` into "12345678": a number would be a password. */
export function compileStrictly(app: FastifyInstance, components: readonly TSchema[]): void {
  const strict = new Ajv({ ...options, coerceTypes: false })
  const coercing = new Ajv({ ...options, coerceTypes: true })
  for (const component of components) {
    app.addSchema(component)
    strict.addSchema(component)
    coercing.addSchema(component)
  }
  const compiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema)
  app.setValidatorCompiler(compiler)
}
