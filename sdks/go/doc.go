// Package tenure reads the licenses of Tenure: it verifies them offline, says what is granted and
// records usage. The way in is [FromEnv]; everything below it can be used alone.
//
// Times are whole seconds since 1970, UTC.
package tenure
