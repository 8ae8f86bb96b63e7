/** The classes of routes that requests are counted in, and how many an address may make in each. */
import type { FastifyRequest } from 'fastify'

export type LimitClass = 'password' | 'register' | 'mail' | 'session' | 'other'

/** So many requests in so many seconds. */
export type Limit = { readonly max: number; readonly seconds: number }

export type Limits = Readonly<Record<LimitClass, Limit>>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Hashes or checks a password, which costs much and invites guessing. */
    checksPassword?: boolean
    /** The class that requests are counted in, where that is not `password` for a route that checks one and `other` for the rest. */
    limitClass?: LimitClass
  }
}

const minute = 60
const hour = 3600

/** An address may be a whole office behind one router. */
export const defaultLimits: Limits = {
  /** Whatever checks a password: all tries together, whichever door they come to. */
  password: { max: 30, seconds: minute },
  /** New accounts, whose answers tell which addresses are taken. */
  register: { max: 20, seconds: hour },
  /** Whatever sends a mail to an address that the caller names. */
  mail: { max: 10, seconds: hour },
  /** Who am I: what pages ask at every turn. */
  session: { max: 6000, seconds: minute },
  other: { max: 1200, seconds: minute },
}

export const limitClasses = Object.keys(defaultLimits) as LimitClass[]

export const limitClassOf = ({ routeOptions: { config } }: FastifyRequest): LimitClass =>
  config.limitClass ?? (config.checksPassword ? 'password' : 'other')

const units = { s: 1, m: minute, h: hour, d: 24 * hour } as const

/** `password=60/m,register=100/h` over the defaults, or undefined where that is not the form. */
export function toLimits(text: string): Limits | undefined {
  const items = text.split(',').map(item => item.trim())
  const pairs = items.filter(item => item !== '').map(toPair)
  const named = new Map(pairs.filter(pair => pair !== undefined))
  return named.size < pairs.length ? undefined : { ...defaultLimits, ...Object.fromEntries(named) }
}

function toPair(item: string): [LimitClass, Limit] | undefined {
  const [, name, max, unit] = /^([a-z]+)=([1-9][0-9]{0,6})\/([smhd])$/.exec(item) ?? []
  const found = limitClasses.find(each => each === name)
  return found && [found, { max: Number(max), seconds: units[unit as keyof typeof units] }]
}
