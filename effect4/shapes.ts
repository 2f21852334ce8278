/** What is written in another shape in Effect 4, piece by piece, so that what stands between the pieces is rewritten too. */
import ts from "typescript"

export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

const callOf = (node: ts.Node): { readonly of: ts.Expression; readonly name: string } | undefined =>
  ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)
    ? { of: node.expression.expression, name: node.expression.name.text }
    : undefined

/** `HttpRouter.empty.pipe(HttpRouter.get(path, handler), …)` is `HttpRouter.addAll([HttpRouter.route("GET", path, handler), …])`. */
const routerOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  if (node.expression.getText(source) !== "HttpRouter.empty.pipe") return []
  const edits = [
    { start: node.expression.getStart(source), end: node.arguments.pos, text: "HttpRouter.addAll([" },
    { start: node.end - 1, end: node.end, text: "])" }
  ]
  for (const route of node.arguments) {
    const call = callOf(route)
    if (!ts.isCallExpression(route) || call?.of.getText(source) !== "HttpRouter") {
      throw new Error(`${source.fileName}: this is no route: ${route.getText(source)}`)
    }
    const text = `HttpRouter.route("${call.name.toUpperCase()}", `
    edits.push({ start: route.getStart(source), end: route.arguments[0]!.getStart(source), text })
  }
  return edits
}

const options: ReadonlyMap<string | undefined, string> = new Map([
  ["addSuccess", "success"],
  ["addError", "error"],
  ["setHeaders", "headers"],
  ["setPath", "params"],
  ["setPayload", "payload"],
  ["setUrlParams", "query"]
])

/**
 * `HttpApiEndpoint.get(name, path).addSuccess(schema)` is `HttpApiEndpoint.get(name, path, { success: schema })`. Of more than one
 * success, or error, one after the other, there is a list.
 */
const endpointOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  const call = callOf(node)
  const option = options.get(call?.name)
  if (call === undefined || option === undefined || !ts.isCallExpression(call.of)) return []
  const before = options.get(callOf(call.of)?.name)
  const after = options.get(callOf(node.parent.parent)?.name)
  const [schema, status] = node.arguments
  const withStatus = (status: ts.Expression) => `.pipe(HttpApiSchema.status(${/\d+/.exec(status.getText(source))![0]}))`
  const start = before === option
    ? ", "
    : `, ${before === undefined ? "{ " : ""}${option}: ${after === option ? "[" : ""}`
  const end = `${before === option && after !== option ? "]" : ""}${after === undefined ? " }" : ""}`
  return [
    { start: call.of.end - 1, end: schema!.getStart(source), text: start },
    ...(status === undefined ? [] : [{ start: schema!.end, end: status.end, text: withStatus(status) }]),
    { start: node.end - 1, end: node.end - 1, text: end }
  ]
}

const given: ReadonlyMap<string, string> = new Map([["path", "params"], ["urlParams", "query"]])

/** A handler that is given `{ path, urlParams }` is given `{ params: path, query: urlParams }`. */
const handlerOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  const handler = node.arguments[1]
  if (callOf(node)?.name !== "handle" || handler === undefined || !ts.isArrowFunction(handler)) return []
  const pattern = handler.parameters[0]?.name
  if (pattern === undefined || !ts.isObjectBindingPattern(pattern)) return []
  return pattern.elements.flatMap(({ name }) => {
    const renamed = given.get(name.getText(source))
    const start = name.getStart(source)
    return renamed === undefined ? [] : [{ start, end: start, text: `${renamed}: ` }]
  })
}

const encodings: ReadonlyMap<string, string> = new Map([
  ["HttpApiSchema.Text", "Schema.String.pipe(HttpApiSchema.asText"],
  ["HttpApiSchema.Uint8Array", "Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array"]
])

/** `HttpApiSchema.Text()` is `Schema.String.pipe(HttpApiSchema.asText())`. */
const encodingOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  const text = encodings.get(node.expression.getText(source))
  if (text === undefined) return []
  return [
    { start: node.expression.getStart(source), end: node.expression.end, text },
    { start: node.end, end: node.end, text: ")" }
  ]
}

/** `Schema.Record({ key, value })` is `Schema.Record(key, value)`, and `Schema.Union(one, another)` is `Schema.Union([one, another])`. */
const schemaOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  const [first] = node.arguments
  if (first === undefined) return []
  switch (node.expression.getText(source)) {
    case "Schema.Union":
      return [{ start: first.getStart(source), end: first.getStart(source), text: "[" }, {
        start: node.end - 1,
        end: node.end,
        text: "])"
      }]
    case "Schema.Record": {
      if (!ts.isObjectLiteralExpression(first)) return []
      const [key, value] = first.properties.map((property) => (property as ts.PropertyAssignment).initializer)
      return [
        { start: first.getStart(source), end: key!.getStart(source), text: "" },
        { start: key!.end, end: value!.getStart(source), text: ", " },
        { start: value!.end, end: first.end, text: "" }
      ]
    }
    default:
      return []
  }
}

/** `HttpApiSchema.annotations({ status: 404 })` is `{ httpApiStatus: 404 }`. */
const annotationOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  if (node.expression.getText(source) !== "HttpApiSchema.annotations") return []
  const text = node.arguments[0]!.getText(source).replace("status:", "httpApiStatus:")
  return [{ start: node.getStart(source), end: node.end, text }]
}

/** `Context.Tag(name)<Self, Shape>()` is `Context.Service<Self, Shape>()(name)`; a reference has no types of its own. */
const tagOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  if (!ts.isCallExpression(node.expression)) return []
  const inner = node.expression
  const [start, end] = [inner.expression.end, inner.end]
  switch (inner.expression.getText(source)) {
    case "Context.Tag":
      return [{ start, end, text: "" }, { start: node.end, end: node.end, text: source.text.slice(start, end) }]
    case "Context.Reference":
      return [{ start, end, text: "" }]
    default:
      return []
  }
}

/** `Effect.gen(this, function*() {})` is `Effect.gen({ self: this }, function*() {})`. */
const generatorOf = (node: ts.CallExpression, source: ts.SourceFile): ReadonlyArray<Edit> => {
  const [first] = node.arguments
  if (node.expression.getText(source) !== "Effect.gen" || first?.kind !== ts.SyntaxKind.ThisKeyword) return []
  return [{ start: first.getStart(source), end: first.end, text: "{ self: this }" }]
}

export const editsOfShape = (node: ts.Node, source: ts.SourceFile): ReadonlyArray<Edit> =>
  ts.isCallExpression(node)
    ? [routerOf, endpointOf, handlerOf, encodingOf, schemaOf, annotationOf, tagOf, generatorOf].flatMap((shape) =>
      shape(node, source)
    )
    : []
