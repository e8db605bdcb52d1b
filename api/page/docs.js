// Swagger UI over this service's own OpenAPI document.
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#reference", deepLinking: true, tryItOutEnabled: true,
  validatorUrl: null, persistAuthorization: false,
});
